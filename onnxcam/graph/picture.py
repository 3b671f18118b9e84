"""Where a picture goes in: the image input and its layout. Volumes and signals are pictures too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.dims import Dim
from onnxcam.graph.network import Network

CHANNEL_COUNTS = (1, 3, 4)
"""Channels of what is stored as a picture: grey, RGB, RGBA."""

SPATIAL = {3: "W", 4: "HW", 5: "DHW"}
"""Spatial axes of a tensor with batch and channels, by its rank: signal, picture, volume."""

_PASSED = {"Identity", "Cast", "Add", "Sub", "Mul", "Div", "BatchNormalization", "Clip"}
_INSERTED = {"Unsqueeze", "Reshape"}


@dataclass(frozen=True)
class ImageInput:
    """An input that takes pictures (H, W), volumes (D, H, W) or signals (W).

    `size` is the spatial size, `batch` the number of pictures; None where a dimension varies.
    """

    name: str
    channels_last: bool
    channels: int
    batch: int | None
    size: tuple[int | None, ...]
    dtype: np.dtype

    @property
    def layout(self) -> str:
        """ "NCHW", "NHWC", "NCDHW", "NWC" and the like."""
        spatial = SPATIAL[len(self.size) + 2]
        return f"N{spatial}C" if self.channels_last else f"NC{spatial}"

    @property
    def is_picture(self) -> bool:
        """Whether a picture file fits: two spatial axes, and colours for channels."""
        return len(self.size) == 2 and self.channels in CHANNEL_COUNTS

    @property
    def height(self) -> int | None:
        return self.size[-2] if len(self.size) > 1 else 1

    @property
    def width(self) -> int | None:
        return self.size[-1]


def find_image_input(network: Network) -> ImageInput:
    """The first input that looks like a batch of pictures, else of volumes or signals.

    Raises `ModelError` when there is none.
    """
    found = [image for tensor in network.inputs if (image := _as_image(tensor)) is not None]
    if found:
        return min(found, key=lambda image: not image.is_picture)
    offered = ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in network.inputs) or "none"
    raise ModelError(
        f"no input takes pictures (N, C, H, W) or (N, H, W, C), volumes or signals; "
        f"the model's inputs: {offered}"
    )


def _as_image(tensor: gs.Variable) -> ImageInput | None:
    if tensor.shape is None or len(tensor.shape) not in SPATIAL or tensor.dtype is None:
        return None
    if tensor.dtype.kind not in "fuV":
        return None
    last = _channels_last(tensor)
    if last is None:
        return None
    n, *rest = tensor.shape
    channels, size = (rest[-1], rest[:-1]) if last else (rest[0], rest[1:])
    if not isinstance(channels, int):
        channels = 3 if len(size) == 2 else 1
    lengths = tuple(_size(dim) for dim in size)
    return ImageInput(tensor.name, last, channels, _size(n), lengths, np.dtype(tensor.dtype))


def _size(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _channels_last(tensor: gs.Variable) -> bool | None:
    """Told by the axis that has a channel's length, else by what the picture goes into first.

    None when neither says that the axes are those of a picture: features come in such shapes, too.
    """
    if len(tensor.shape) > 3:
        first, last = tensor.shape[1] in CHANNEL_COUNTS, tensor.shape[-1] in CHANNEL_COUNTS
        if first != last:
            return last
    taken = _taken_as(tensor)
    if taken is None and len(tensor.shape) == 4:
        known = isinstance(tensor.shape[1], int) and tensor.shape[1] not in CHANNEL_COUNTS
        return None if known else False
    return taken


def _taken_as(tensor: gs.Variable) -> bool | None:
    """Whether the first convolution sees the last axis as channels; None where there is none."""
    seen = [tensor]
    for inner in seen:
        for node in inner.outputs:
            if node.op == "Conv" and node.inputs[0] is inner:
                return False
            if node.op == "Transpose":
                perm = list(node.attrs.get("perm", []))
                return bool(perm) and perm[:2] == [0, len(perm) - 1]
            if node.op in _PASSED | _INSERTED and len(seen) < 32:
                seen.extend(node.outputs)
    return None
