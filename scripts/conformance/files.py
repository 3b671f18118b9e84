"""The files of a case: the model converted, rewritten, and what it is fed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx
from deployed.variants import VARIANTS

import onnxcam
from conformance.cases import AS_IT_IS, GIVEN, MODELS, STATIC, UNTOUCHED, Case
from conformance.exchange import Arrays, Job
from onnxcam.cards import find_card
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.targets import CLASS_INPUT

BATCH = 2
CATS = ("chelsea.png", "chelsea.png")
TEXTS = ("text_0_invoice.png", "text_180_exit.png")
NOISE = 1e-5
"""What a disturbed input differs by, relative to each value: a few roundings in a row."""


def prepared(case: Case, folder: Path) -> Job:
    """The case's job, its file written. Raises what conversion and rewriting raise."""
    source = _converted(case.source, case.variant, folder)
    path = folder / f"{case.name}.onnx"
    if case.form == UNTOUCHED:
        path = source
    else:
        made = onnxcam.rewrite(
            source, case.method, _layer(source, case.layer), profile=case.profile, **case.arguments
        )
        onnxcam.save_model(made, path)
    batch = 1 if case.variant == STATIC else BATCH
    feeds = _pictures(case.source, batch)
    graph = onnx.load(path, load_external_data=False).graph
    wanted = {entry.name: entry.type.tensor_type.elem_type for entry in graph.input}
    feeds = {
        name: value.astype(onnx.helper.tensor_dtype_to_np_dtype(wanted[name]))
        for name, value in feeds.items()
    }
    feeds |= _unasked(graph, batch)
    if case.form == "class given":
        feeds[CLASS_INPUT] = np.full((batch, 1), GIVEN, np.int64)
    return Job(case.name, path, feeds)


def _unasked(graph: onnx.GraphProto, batch: int) -> Arrays:
    """What a target asks for and has no default of its own: -1, which means the best."""
    stored = {tensor.name for tensor in graph.initializer}
    asked = [v for v in graph.input if v.name.startswith("cam_") and v.name not in stored]
    found = {}
    for value in asked:
        kind = value.type.tensor_type
        shape = [dim.dim_value or batch for dim in kind.shape.dim]
        found[value.name] = np.full(shape, -1, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return found


def disturbed(job: Job) -> Job:
    """The job with its pictures off by rounding: to either side, by a unit at least."""
    rng = np.random.default_rng(0)
    feeds = {}
    for name, x in job.feeds.items():
        if np.issubdtype(x.dtype, np.floating):
            by = np.maximum(NOISE, np.finfo(x.dtype).eps) * rng.uniform(-1, 1, x.shape)
            x = (x * (1 + by)).astype(x.dtype)
        feeds[name] = x
    return Job(job.name, job.model, feeds)


@cache
def _converted(source: Path, variant: str, folder: Path) -> Path:
    if variant == AS_IT_IS:
        return source
    to = folder / variant.replace(" ", "_") / source.name
    to.parent.mkdir(parents=True, exist_ok=True)
    if variant == STATIC:
        onnx.save(_of_one(source), to)
    else:
        VARIANTS[variant](source, to)
    return to


def _of_one(source: Path) -> onnx.ModelProto:
    """The model for one picture of the size it is fed: nothing about its shapes is left open."""
    model = onnx.load(source)
    fed = _pictures(source, 1)
    for entry in model.graph.input:
        shape = entry.type.tensor_type.shape
        for dim, size in zip(shape.dim, fed[entry.name].shape, strict=True):
            dim.dim_value = size
    for entry in model.graph.output:
        del entry.type.tensor_type.shape.dim[:]
        entry.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


@cache
def _layer(source: Path, which: str) -> str | None:
    """None for the automatic choice, or the middle one of those every way leads through."""
    if which == "last":
        return None
    trunk = [layer for layer in onnxcam.find_layers(source) if layer.trunk]
    return trunk[len(trunk) // 2].name


@cache
def _pictures(source: Path, batch: int) -> Arrays:
    """Different pictures, as the model's card says that it is fed; noise where it is no picture."""
    network = Network(source)
    image = find_image_input(network)
    if not image.is_picture:
        shape = (
            (*image.size, image.channels) if image.channels_last else (image.channels, *image.size)
        )
        return {image.name: np.random.default_rng(0).random((batch, *shape), np.float32)}
    card = find_card(source, network, image)
    shown = TEXTS if image.height is None else CATS
    first, second = (cv2.imread(str(MODELS / "images" / name))[..., ::-1] for name in shown)
    crops = [first, second[second.shape[0] // 8 :, second.shape[1] // 8 :]]
    tensors = [card.preprocess.tensor(np.ascontiguousarray(crop), image) for crop in crops]
    return {image.name: np.concatenate(tensors[:batch])}
