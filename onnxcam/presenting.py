"""Raw maps made presentable inside the graph: heatmaps, grey levels, finished pictures."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.cards import Card
from onnxcam.errors import ModelError, OnnxCamError, nearest
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.picture import find_image_input
from onnxcam.methods.aggregate import at_picture_size, in_unit_range
from onnxcam.methods.scene import Scene
from onnxcam.outputs import OVERLAY, RAW
from onnxcam.overlay import COLORMAPS, Look
from onnxcam.preprocess import Preprocess

FORMS = ("raw", "heatmap", "uint8", "overlay")
"""The method's raw map; its heatmap in [0, 1]; that in 256 levels; the raw map and a picture."""

RESOLUTIONS = ("layer", "input")

_MIXED = ("blend", "sum")
"""Styles that are a weighted sum, and so a few nodes."""


def presented(
    scene: Scene,
    raw: gs.Tensor,
    form: str,
    resolution: str,
    card: Card | None,
    look: Look,
) -> dict[str, gs.Tensor]:
    """The outputs of a rewritten model for a raw map (N, K, *size), by name.

    `RAW` is float32 (N, K, *size of layer or input), uint8 in the form "uint8", whose heatmap is
    that of `Finish`: the positive part, min-max, enlarged linearly, min-max again. The form
    "overlay" adds `OVERLAY`, uint8 RGB (N, K, H, W, 3): the heat on the model's own input, with
    the preprocessing undone. Raises `OnnxCamError` for an unknown form, and where the model has no
    picture to lay heat on.
    """
    _require("form", form, FORMS)
    _require("resolution", resolution, RESOLUTIONS)
    e = scene.e
    if form == "overlay":
        heat = _heatmap(scene, raw, "input")
        sized = raw if resolution == "layer" else at_picture_size(scene, raw)
        return {RAW: sized, OVERLAY: _on_picture(scene, heat, card, look)}
    if form == "raw":
        return {RAW: raw if resolution == "layer" else at_picture_size(scene, raw)}
    heat = _heatmap(scene, raw, resolution)
    return {RAW: heat if form == "heatmap" else e.cast(e.mul(heat, 255), np.uint8)}


def _heatmap(scene: Scene, raw: gs.Tensor, resolution: str) -> gs.Tensor:
    e = scene.e
    unit = in_unit_range(e, e.unary("Relu", raw))
    if resolution == "layer":
        return unit
    return in_unit_range(e, at_picture_size(scene, unit))


def _on_picture(scene: Scene, heat: gs.Tensor, card: Card | None, look: Look) -> gs.Tensor:
    """alpha of the heat's colours and beta of the picture, uint8 (N, K, H, W, 3)."""
    if look.style not in _MIXED:
        raise OnnxCamError(f"no style '{look.style}' in a file; there is {', '.join(_MIXED)}")
    e = scene.e
    picture = e.unsqueeze(_pixels(scene, card), [1])
    table = COLORMAPS[look.colors]
    levels = e.op("Min", e.mul(heat, table.steps), e.constant(255, np.float32), shape=heat.shape)
    colors = e.op(
        "Gather",
        e.constant(table.table, np.float32),
        e.cast(levels, np.int64),
        shape=[*heat.shape, 3],
        axis=0,
    )
    alpha, beta = look.weights
    mixed = e.unary("Round", e.add(e.mul(colors, alpha), e.mul(picture, beta)))
    return e.cast(_clipped(e, mixed), np.uint8)


def _pixels(scene: Scene, card: Card | None) -> gs.Tensor:
    """The model's input as the picture it was made from: float32 RGB 0..255 (N, H, W, 3)."""
    e, network = scene.e, scene.network
    image = find_image_input(network)
    preprocess = Preprocess() if card is None else card.preprocess
    if not image.is_picture or image.channels == 4 or preprocess.window is not None:
        raise ModelError(
            f"input '{image.name}' ({image.layout}, {image.channels} channels) is no picture that "
            f"heat could be laid on; take the form 'heatmap'"
        )
    x = e.cast(network.tensors[image.name], np.float32)
    if not image.channels_last:
        x = e.transpose(x, (1, 2, 0))
    mean, std = (np.asarray(value, np.float32) for value in (preprocess.mean, preprocess.std))
    scale = np.float32(preprocess.scale)
    pixels = e.add(e.mul(x, e.constant(std / scale)), e.constant(mean / scale))
    if image.channels == 1:
        pixels = e.op("Concat", pixels, pixels, pixels, shape=[*pixels.shape[:-1], 3], axis=3)
    elif preprocess.color == "bgr":
        order = e.constant([2, 1, 0], np.int64)
        pixels = e.op("Gather", pixels, order, shape=list(pixels.shape), axis=3)
    return _clipped(e, pixels)


def _clipped(e: Emitter, values: gs.Tensor) -> gs.Tensor:
    low, high = e.constant(0, np.float32), e.constant(255, np.float32)
    return e.op("Clip", values, low, high, shape=list(values.shape))


def _require(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        near = nearest(name, known) or f"; there is {', '.join(known)}"
        raise OnnxCamError(f"no {what} '{name}'{near}")
