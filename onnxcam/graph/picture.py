"""Where a picture goes in: the image input and its layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.dims import Dim
from onnxcam.graph.network import Network

CHANNEL_COUNTS = (1, 3, 4)


@dataclass(frozen=True)
class ImageInput:
    """An input that takes pictures. `batch`, `height` and `width` are None where they vary."""

    name: str
    channels_last: bool
    channels: int
    batch: int | None
    height: int | None
    width: int | None
    dtype: np.dtype

    @property
    def layout(self) -> str:
        """ "NCHW" or "NHWC"."""
        return "NHWC" if self.channels_last else "NCHW"


def find_image_input(network: Network) -> ImageInput:
    """The first input that looks like a batch of pictures; `ModelError` when there is none."""
    for tensor in network.inputs:
        found = _as_image(tensor)
        if found is not None:
            return found
    offered = ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in network.inputs) or "none"
    raise ModelError(
        f"no input takes pictures (N, C, H, W) or (N, H, W, C); the model's inputs: {offered}"
    )


def _as_image(tensor: gs.Variable) -> ImageInput | None:
    if tensor.shape is None or len(tensor.shape) != 4 or tensor.dtype is None:
        return None
    if tensor.dtype.kind not in "fuV":
        return None
    last = _channels_last(tensor)
    n, *rest = tensor.shape
    channels, height, width = (rest[2], *rest[:2]) if last else rest
    if not isinstance(channels, int):
        channels = 3
    if channels not in CHANNEL_COUNTS:
        return None
    return ImageInput(
        tensor.name, last, channels, _size(n), _size(height), _size(width), np.dtype(tensor.dtype)
    )


def _size(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _channels_last(tensor: gs.Variable) -> bool:
    """Told by the axis that has a channel's length, else by what the picture goes into first."""
    first, last = tensor.shape[1] in CHANNEL_COUNTS, tensor.shape[3] in CHANNEL_COUNTS
    if first != last:
        return last
    return any(
        node.op == "Transpose" and list(node.attrs.get("perm", [])) == [0, 3, 1, 2]
        for node in tensor.outputs
    )
