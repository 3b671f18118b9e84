"""Models run again and again by ONNX Runtime alone, whole or cut in two, picture by picture."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx.utils import Extractor


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def logits_of(model: onnx.ModelProto, pictures: np.ndarray, name: str = "logits") -> np.ndarray:
    """The values of a tensor for every picture, run alone, (n, ...)."""
    runner, image = session(showing(model, [name])), model.graph.input[0].name
    return np.concatenate([runner.run(None, {image: picture[None]})[0] for picture in pictures])


def values_of(model: onnx.ModelProto, names: list[str], x: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors inside a model for one batch of pictures."""
    values = session(showing(model, names)).run(names, {model.graph.input[0].name: x})
    return dict(zip(names, values, strict=True))


def showing(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The model with other outputs."""
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    seen.graph.output.extend(onnx.helper.make_tensor_value_info(n, 1, None) for n in names)
    return seen


def logits_behind(model: onnx.ModelProto, inside: list[dict[str, np.ndarray]]) -> np.ndarray:
    """The logits for values of tensors inside, run alone, (n, classes)."""
    inferred = onnx.shape_inference.infer_shapes(model)
    names = list(inside[0])
    tail = session(Extractor(inferred).extract_model(names, ["logits"]))
    return np.concatenate([tail.run(None, values)[0] for values in inside])
