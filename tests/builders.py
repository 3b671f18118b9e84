"""Tiny ONNX models, each with one thing about it that matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from graphs import CLASSES, SIDE, Build, Dims, weights
from onnx import TensorProto, helper, numpy_helper


def conv_trunk(b: Build, channels: int = 3) -> str:
    """Two convolutions with ReLU; returns the feature map `features`, (N, 8, SIDE/2, SIDE/2)."""
    b.conv("image", "conv1", (6, channels, 3, 3), strides=[2, 2])
    b.op("Relu", ["conv1"], "relu1")
    b.conv("relu1", "conv2", (8, 6, 3, 3))
    return b.op("Relu", ["conv2"], "features")


def head(b: Build, features: str = "features", channels: int = 8, batch: Any = 1) -> str:
    """Global average pooling and a linear layer; the graph output `logits`."""
    b.op("GlobalAveragePool", [features], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", channels, CLASSES)
    b.output("logits", [batch, CLASSES])
    return "logits"


def classifier(
    shape: Dims = (1, 3, SIDE, SIDE), opset: int = 18, channels: int = 3, dtype: int = 1
) -> onnx.ModelProto:
    """NCHW convolutions, GAP, linear, bare logits."""
    b = Build(shape, opset, dtype=dtype)
    conv_trunk(b, channels)
    head(b, batch=shape[0])
    return b.model()


def broad(opset: int = 18) -> onnx.ModelProto:
    """A classifier with one weight of more elements than are read with the model."""
    b = Build(opset=opset)
    b.conv("image", "conv1", (64, 3, 3, 3), strides=[2, 2])
    b.op("Relu", ["conv1"], "features")
    head(b, channels=64)
    return b.model()


def ended_with(
    op: str | None, behind: Sequence[str] = (), shape: Dims = (1, 3, SIDE, SIDE)
) -> onnx.ModelProto:
    """`classifier` with an activation behind its logits, and further operators behind that."""
    b = Build(shape)
    conv_trunk(b)
    last = head(b)
    b.outputs.clear()
    if op:
        attrs = {} if op == "Sigmoid" else {"axis": 1}
        last = b.op(op, [last], "activated", **attrs)
    for k, more in enumerate(behind):
        attrs = {"axis": 1, "keepdims": 0} if more == "ArgMax" else {}
        last = b.op(more, [last], f"behind{k}", **attrs)
    decided = "ArgMax" in behind
    b.output(
        last,
        [shape[0]] if decided else [shape[0], CLASSES],
        TensorProto.INT64 if decided else TensorProto.FLOAT,
    )
    return b.model()


def gap_linear(
    w: np.ndarray, side: int = 4, batch: Any = 1, bias: np.ndarray | None = None
) -> onnx.ModelProto:
    """Identity features (a ReLU), GAP, linear with weights w (classes, 3): closed-form maps."""
    b = Build((batch, 3, side, side))
    b.op("Relu", ["image"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.weight("w", np.asarray(w, np.float32))
    b.weight("b", np.zeros(len(w), np.float32) if bias is None else np.asarray(bias, np.float32))
    b.op("Gemm", ["flat", "w", "b"], "logits", transB=1)
    b.output("logits", [batch, len(w)])
    return b.model()


def channels_last(shape: Dims = (None, SIDE, SIDE, 3)) -> onnx.ModelProto:
    """Keras-like: NHWC input, one Transpose, Softmax at the end, scopes in node names."""
    b = Build(shape, opset=15)
    b.op("Transpose", ["image"], "nchw", name="model_1/conv1/Conv2D__1", perm=[0, 3, 1, 2])
    b.conv("nchw", "conv1", (6, 3, 3, 3), name="model_1/conv1_1/Conv2D", strides=[2, 2])
    b.op("Relu", ["conv1"], "model_1/relu_1/Relu:0", name="model_1/relu_1/Relu")
    axes = {"axes": [2, 3], "keepdims": 0}
    b.op("ReduceMean", ["model_1/relu_1/Relu:0"], "flat", name="model_1/gap/Mean", **axes)
    w = b.weight("w", weights(6, CLASSES))
    b.op("MatMul", ["flat", w], "logits", name="model_1/dense/MatMul")
    b.op("Softmax", ["logits"], "scores", name="model_1/dense/Softmax", axis=1)
    b.output("scores", [shape[0], CLASSES])
    return b.model()


def paddle_like(question: str = "?") -> onnx.ModelProto:
    """Weights in Constant nodes, dimensions called '?', shape arithmetic in front of the head."""
    b = Build((question, 3, question, question), opset=11)

    def constant(name: str, value: np.ndarray) -> str:
        stored = numpy_helper.from_array(value, name)
        return b.op("Constant", [], name, value=stored)

    constant("w1", weights(6, 3, 3, 3, seed=1))
    b.op("Conv", ["image", "w1"], "conv", strides=[2, 2], pads=[1, 1, 1, 1])
    b.op("Relu", ["conv"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Shape", ["pooled"], "shape")
    constant("zero", np.array([0]))
    constant("minus", np.array([-1]))
    b.op("Gather", ["shape", "zero"], "n", axis=0)
    b.op("Concat", ["n", "minus"], "target", axis=0)
    b.op("Reshape", ["pooled", "target"], "flat")
    constant("w2", weights(6, CLASSES, seed=2))
    b.op("MatMul", ["flat", "w2"], "logits")
    b.op("Softmax", ["logits"], "scores", axis=1)
    b.output("scores", [question, CLASSES])
    return b.model()


def torch_like() -> onnx.ModelProto:
    """`classifier` with module paths in node metadata, doc strings and value_info."""
    model = classifier(("batch", 3, SIDE, SIDE))
    scopes = {
        "conv1": ["", "stem", "stem.conv", "conv2d"],
        "relu1": ["", "stem", "stem.act", "relu"],
        "conv2": ["", "layer4", "layer4.2", "layer4.2.conv", "conv2d_1"],
        "features": ["", "layer4", "layer4.2", "relu_1"],
        "logits": ["", "fc", "linear"],
    }
    for node in model.graph.node:
        if node.output[0] in scopes:
            entry = node.metadata_props.add()
            entry.key, entry.value = "pkg.torch.onnx.name_scopes", str(scopes[node.output[0]])
        node.doc_string = f"makes {node.output[0]}"
    model.doc_string = "a model of the tests"
    model.graph.doc_string = "its graph"
    model.metadata_props.add(key="author", value="tests")
    side = SIDE // 2
    value = helper.make_tensor_value_info("features", 1, ["batch", 8, side, side])
    model.graph.value_info.append(value)
    return model


def vgg_like() -> onnx.ModelProto:
    """A max pool behind the last activation, and a Flatten instead of global pooling."""
    b = Build()
    conv_trunk(b)
    b.op("MaxPool", ["features"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    b.op("Flatten", ["pool"], "flat")
    b.linear("flat", "logits", 8 * 16, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def se_like() -> onnx.ModelProto:
    """Squeeze and excitation: the gate's branch leads around the trunk and back into it."""
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "squeezed")
    b.conv("squeezed", "excited", (8, 8, 1, 1))
    b.op("Sigmoid", ["excited"], "gate")
    b.op("Mul", ["features", "gate"], "scaled")
    head(b, "scaled")
    return b.model()


def concat_end() -> onnx.ModelProto:
    """Two branches joined by a Concat right before the pooling."""
    b = Build()
    conv_trunk(b)
    b.conv("features", "left", (4, 8, 1, 1))
    b.conv("features", "right", (4, 8, 3, 3))
    b.op("Concat", ["left", "right"], "joined", axis=1)
    head(b, "joined")
    return b.model()


def two_outputs() -> onnx.ModelProto:
    """A feature vector beside the logits, which come first."""
    model = classifier(("batch", 3, SIDE, SIDE))
    model.graph.output.append(helper.make_tensor_value_info("features", 1, ["batch", 8, 8, 8]))
    return model


def two_inputs() -> onnx.ModelProto:
    """Logits scaled by a second input."""
    b = Build(("batch", 3, SIDE, SIDE))
    b.inputs.append(helper.make_tensor_value_info("gain", 1, [1]))
    conv_trunk(b)
    head(b, batch="batch")
    b.outputs.clear()
    b.op("Mul", ["logits", "gain"], "scaled")
    b.output("scaled", ["batch", CLASSES])
    return b.model()


def mlp() -> onnx.ModelProto:
    """Flatten first: no layer is spatial."""
    b = Build()
    b.op("Flatten", ["image"], "flat")
    b.linear("flat", "hidden", 3 * SIDE * SIDE, 8)
    b.op("Relu", ["hidden"], "active")
    b.linear("active", "logits", 8, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def with_operator(op: str, opset: int = 18, domain: str = "", **attrs: Any) -> onnx.ModelProto:
    """`classifier` with one more operator between `relu1` and `conv2`."""
    b = Build(opset=opset)
    b.conv("image", "conv1", (6, 3, 3, 3), strides=[2, 2])
    b.op("Relu", ["conv1"], "relu1")
    b.op(op, ["relu1"], "odd", name="the_odd_one", domain=domain, **attrs)
    b.conv("odd", "conv2", (8, 6, 3, 3))
    b.op("Relu", ["conv2"], "features")
    head(b)
    return b.model()


def as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with float16 weights, inputs and outputs."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    for value in (*half.graph.input, *half.graph.output, *half.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return half


def vit_like(side: int = 16, patch: int = 4, width: int = 8) -> onnx.ModelProto:
    """One block of attention over patches and a class token, which the head reads."""
    b = Build((1, 3, side, side))
    tokens = (side // patch) ** 2
    grid = {"strides": [patch, patch], "pads": [0, 0, 0, 0]}
    b.conv("image", "patches", (width, 3, patch, patch), **grid)
    b.weight("flat_shape", np.array([1, width, tokens]))
    b.op("Reshape", ["patches", "flat_shape"], "rows")
    b.op("Transpose", ["rows"], "tokens", perm=[0, 2, 1])
    b.weight("class_token", weights(1, 1, width, seed=3))
    b.op("Concat", ["class_token", "tokens"], "all_tokens", axis=1)
    b.weight("positions", weights(1, tokens + 1, width, seed=4))
    b.op("Add", ["all_tokens", "positions"], "embedded")
    for name in ("norm1", "norm2", "norm3"):
        b.weight(f"{name}.scale", np.ones(width, np.float32))
        b.weight(f"{name}.bias", np.zeros(width, np.float32))
    norm = ["norm1.scale", "norm1.bias"]
    b.op("LayerNormalization", ["embedded", *norm], "normed", axis=-1)
    for k, name in enumerate(("q", "k", "v", "o", "mlp")):
        b.weight(f"{name}.weight", weights(width, width, seed=5 + k))
    for name in "qkv":
        b.op("MatMul", ["normed", f"{name}.weight"], name)
    b.op("Transpose", ["k"], "kt", perm=[0, 2, 1])
    b.op("MatMul", ["q", "kt"], "affinity")
    b.op("Softmax", ["affinity"], "attention", axis=-1)
    b.op("MatMul", ["attention", "v"], "mixed")
    b.op("MatMul", ["mixed", "o.weight"], "projected")
    b.op("Add", ["embedded", "projected"], "attended")
    b.op("LayerNormalization", ["attended", "norm2.scale", "norm2.bias"], "normed2", axis=-1)
    b.op("MatMul", ["normed2", "mlp.weight"], "hidden")
    b.op("Relu", ["hidden"], "active")
    b.op("Add", ["attended", "active"], "block")
    b.op("LayerNormalization", ["block", "norm3.scale", "norm3.bias"], "final", axis=-1)
    b.weight("first", np.array(0))
    b.op("Gather", ["final", "first"], "class", axis=1)
    b.linear("class", "logits", width, CLASSES)
    b.output("logits", [1, CLASSES])
    return b.model()


def annotated(model: onnx.ModelProto, **entries: str) -> onnx.ModelProto:
    """A copy with onnxcam's metadata, `preprocess` and `labels` as JSON text."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for key, value in entries.items():
        copy.metadata_props.add(key=f"onnxcam.{key}", value=value)
    return copy
