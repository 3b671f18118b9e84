"""Gradients at changed pictures."""

from __future__ import annotations

from collections.abc import Iterator

from onnxcam.errors import MethodError
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network, is_float
from onnxcam.graph.picture import find_image_input
from onnxcam.methods.base import Searched
from onnxcam.methods.lab import Lab
from onnxcam.methods.pixels.picture import OfPicture

TOGETHER = 16
"""Pictures whose gradients are held at a time."""


class OfChangedPictures(OfPicture, Searched):
    """A method that explains the picture by the gradients at changed ones."""

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        image = find_image_input(network)
        if not is_float(network.tensors[image.name]):
            raise MethodError(
                f"{self.name} changes pictures by fractions, and the model's input "
                f"'{image.name}' takes whole numbers ({image.dtype}); choose saliency or "
                f"inputxgradient"
            )
        return super().layers(network, spec)


def in_parts(count: int) -> Iterator[slice]:
    """So many pictures, as many at a time as are held together."""
    return (slice(k, min(k + TOGETHER, count)) for k in range(0, count, TOGETHER))


def channel_axis(lab: Lab) -> int:
    """Where the channels of the model's picture are, counted from the end."""
    return -1 if lab.image.channels_last else 1 - lab.x.ndim
