"""Several layers: their maps, brought to the picture's size, become one."""

from __future__ import annotations

from functools import reduce

import onnx_graphsurgeon as gs

from onnxcam.errors import LayerError, MethodError, nearest
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.picture import find_image_input
from onnxcam.methods.base import Baked
from onnxcam.methods.resizing import resized
from onnxcam.methods.scene import Scene
from onnxcam.methods.smoothing import emission

FUSIONS = ("mean", "max")
"""How the maps of several layers become one: pytorch-grad-cam's way, and torchcam's."""


def require_fusion(fuse: str) -> None:
    """Raise `MethodError` for a way of fusing that does not exist."""
    if fuse not in FUSIONS:
        near = nearest(fuse, FUSIONS) or f"; there is {', '.join(FUSIONS)}"
        raise MethodError(f"no way '{fuse}' to fuse the maps of several layers{near}")


def over_layers(
    method: Baked, scene: Scene, fuse: str = "mean", smooth: str | None = None
) -> gs.Tensor:
    """The method's map at the scene's layer, or what the maps of its layers make together.

    With several layers, each one's map is cut off at zero, scaled to [0, 1] and enlarged to the
    picture's size, which `raw` then has: (N, K, *size of the input). "mean" is what
    pytorch-grad-cam gives for a list of layers (but for the last scaling, which is the heatmap's),
    "max" what torchcam's `fuse_cams` gives for the picture's size. Both divide by a map's
    maximum plus a constant, which fades maps of small numbers; here each layer counts in full.
    Volumes are enlarged linearly too (pytorch-grad-cam: by cubic splines). `smooth` is as for
    `smoothing.emission`.

    Raises `MethodError` for an unknown `fuse` or `smooth`.
    """
    require_fusion(fuse)
    emit = emission(method, smooth)
    if len(scene.layers) == 1 or method.joins_layers:
        return emit(scene)
    e = scene.e
    maps = [
        at_picture_size(each, in_unit_range(e, e.unary("Relu", emit(each))))
        for each in scene.each_layer()
    ]
    if fuse == "max":
        return e.op("Max", *maps, shape=list(maps[0].shape))
    return e.mul(reduce(e.add, maps), 1 / len(maps))


def in_unit_range(e: Emitter, maps: gs.Tensor) -> gs.Tensor:
    """Maps (N, K, *size), each scaled to [0, 1]; a constant one becomes zero."""
    spatial = range(2 - len(maps.shape), 0)
    raised = e.sub(maps, e.reduce("ReduceMin", maps, spatial))
    high = e.reduce("ReduceMax", raised, spatial)
    return e.div(raised, e.where(e.greater(high, 0), high, 1))


def at_picture_size(scene: Scene, maps: gs.Tensor) -> gs.Tensor:
    """Maps (N, K, *size) interpolated linearly to the spatial size of the model's input.

    Raises `LayerError` when the picture has another number of spatial axes.
    """
    e, network = scene.e, scene.network
    image = find_image_input(network)
    picture = network.tensors[image.name]
    first = 1 if image.channels_last else 2
    rank = len(image.size)
    if len(maps.shape) != rank + 2:
        raise LayerError(
            f"the maps of layer '{scene.layer.name}' have {len(maps.shape) - 2} spatial axes, the "
            f"picture has {rank}, so the layers' maps cannot be laid over each other; choose one"
        )
    axes = [axis - len(picture.shape) for axis in range(first, first + rank)]
    return resized(e, maps, [picture.shape[a] for a in axes], [e.dim(picture, a) for a in axes])
