"""Models of every kind that methods meet, and what to feed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from builders import as_float16, channels_last, classifier, ended_with, two_inputs, vgg_like
from graph.test_picture import spatial_net
from graphs import CLASSES, SIDE, Build, weights
from methods.gradient import layouts
from targets import networks
from targets.boxes import detectors
from vision_transformers import Transformer

import onnxcam
from onnxcam.explainer import TargetSpec
from onnxcam.runtime import Arrays

OPEN = ("n", 3, SIDE, SIDE)
NEWEST = 26


@dataclass(frozen=True)
class Kind:
    """A model, how `Explainer` is told what it does not tell, and how many targets it has.

    `one(answer, k)` is the k-th target of every picture, on its own.
    """

    make: Callable[[], onnx.ModelProto]
    options: Mapping[str, Any] = field(default_factory=dict)
    top: int = 2
    one: Callable[[Arrays, int], TargetSpec] = lambda found, k: found["target"][:, k].tolist()
    exact: float = 1e-6

    def feeds(self, model: onnx.ModelProto, count: int = 2, side: int = SIDE) -> Arrays:
        """Noise for the picture, in lengths that the model leaves open; 1.5 for what else."""
        rng = np.random.default_rng(3)
        found: Arrays = {}
        for value in model.graph.input:
            tensor = value.type.tensor_type
            lengths = [dim.dim_value or side for dim in tensor.shape.dim]
            if not tensor.shape.dim[0].dim_value:
                lengths[0] = count
            drawn = np.full(lengths, 1.5) if found else rng.standard_normal(lengths)
            found[value.name] = drawn.astype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        return found


def has_open_batch(model: onnx.ModelProto) -> bool:
    return not model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value")


def newest() -> onnx.ModelProto:
    model = classifier(OPEN, opset=NEWEST)
    model.ir_version = 13
    return model


def quantised() -> onnx.ModelProto:
    """A classifier with every activation and weight quantised and dequantised again."""
    b = Build(OPEN)
    step = np.float32(0.0129)
    b.weight("step", step)

    def rounded(x: str, scale: float) -> str:
        stored = [b.weight(f"{x}.s", np.float32(scale)), b.weight(f"{x}.z", np.uint8(121))]
        b.op("QuantizeLinear", [x, *stored], f"{x}.q")
        return b.op("DequantizeLinear", [f"{x}.q", *stored], f"{x}.d")

    def convolved(x: str, scale: float, y: str, *shape: int, **attrs: Any) -> str:
        whole = np.round(weights(*shape, seed=len(b.nodes)) / step).clip(-127, 127)
        b.weight(f"{y}.w", whole.astype(np.int8))
        b.op("DequantizeLinear", [f"{y}.w", "step"], f"{y}.weight")
        inputs = [rounded(x, scale), f"{y}.weight"]
        b.op("Conv", inputs, f"{y}.conv", pads=[1, 1, 1, 1], **attrs)
        return b.op("Relu", [f"{y}.conv"], y)

    convolved("image", 0.0337, "relu1", 6, 3, 3, 3, strides=[2, 2])
    convolved("relu1", 0.0611, "features", 8, 6, 3, 3)
    b.op("GlobalAveragePool", [rounded("features", 0.0923)], "pooled")
    b.op("Flatten", [rounded("pooled", 0.0307)], "flat")
    b.linear("flat", "logits", 8, CLASSES)
    b.output("logits", ["n", CLASSES])
    return b.model()


def _volume() -> onnx.ModelProto:
    return spatial_net(("n", 1, 6, 8, 10), False)


KINDS = {
    "convolutions": Kind(lambda: classifier(OPEN)),
    "Keras": Kind(channels_last),
    "transformer": Kind(lambda: Transformer(norm="layer").model()),
    "volume": Kind(_volume),
    "detector": Kind(detectors.yolov8, one=lambda _, k: f"box:{k}"),
    "batch of four": Kind(lambda: classifier((4, 3, SIDE, SIDE))),
    "batch of one": Kind(vgg_like),
    "open sizes": Kind(
        lambda: classifier(("n", 3, "h", "w")), {"preprocess": {"size": [SIDE, SIDE]}}
    ),
    "opset 11": Kind(lambda: classifier(OPEN, opset=11)),
    "newest opset": Kind(newest),
    "features channels last": Kind(layouts.channels_last),
    "float16": Kind(lambda: as_float16(classifier(OPEN)), exact=2e-3),
    "quantised": Kind(quantised),
    "one unit": Kind(lambda: networks.classifier(1, "Sigmoid"), top=1, one=lambda *_: None),
    "Softmax": Kind(lambda: ended_with("Softmax", shape=OPEN)),
    "segmentation": Kind(networks.segmentation, top=1, one=lambda *_: "region"),
    "sequence": Kind(layouts.sequence),
    "second input": Kind(two_inputs),
}

COMMON = list(KINDS)[:4]
"""Kinds that every method is run on."""

SMALL: dict[str, dict[str, Any]] = {
    "fem": {"k": 1.0},
    "sscam": {"num_samples": 2},
    "iscam": {"num_samples": 2},
    "rise": {"samples": 12, "cells": 3},
    "occlusion": {"window": 4, "stride": 4},
    "smoothgrad": {"samples": 3},
    "vargrad": {"samples": 3},
    "integratedgradients": {"steps": 3},
}
"""Parameters with which methods run a model less often, and find something in noise."""


def explainer(model: onnx.ModelProto, kind: str, method: str) -> onnxcam.Explainer:
    return onnxcam.Explainer(model, method, **KINDS[kind].options, **SMALL.get(method, {}))
