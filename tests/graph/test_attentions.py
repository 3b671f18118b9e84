"""Which attentions a transformer has, how its tokens lie, and which of them its head reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graphs import CLASSES, Build, weights
from vision_transformers import WIDTH, Transformer

from onnxcam.graph.attentions import find_attentions
from onnxcam.graph.network import Network
from onnxcam.graph.read_tokens import Tokens


@pytest.mark.parametrize("form", ["heads", "batched", "microsoft", "packed", "onnx"])
@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_attentions_in_every_form(form: str, batch: Any) -> None:
    opset = 23 if form == "onnx" else 18
    what = Transformer(depth=3, prefix=2, form=form, batch=batch, opset=opset)
    found = find_attentions(Network(what.model()))
    last = "attention" if form in ("heads", "batched") else "mixed"
    assert [one.tensor.name for one in found.all] == [f"block{k}.{last}" for k in range(3)]
    assert all((one.queries, one.keys) == (14, 14) for one in found.all)
    assert found.tokens == Tokens(14, (4, 3), 2)
    assert found.pooling is None
    assert found.rows == (0,)


@pytest.mark.parametrize(
    ("prefix", "read", "rows"),
    [
        (1, "first", (0,)),
        (4, "first", (0,)),
        (2, "prefix", (0, 1)),
        (1, "patches", tuple(range(1, 13))),
        (3, "patches", tuple(range(3, 15))),
        (1, "all", tuple(range(13))),
        (0, "all", tuple(range(12))),
    ],
)
def test_the_rows_that_the_head_reads(prefix: int, read: str, rows: tuple[int, ...]) -> None:
    found = find_attentions(Network(Transformer(prefix=prefix, read=read).model()))
    assert found.rows == rows
    assert found.tokens.prefix == prefix


def test_a_pooling_attention_stands_apart() -> None:
    found = find_attentions(Network(Transformer(read="pooled").model()))
    assert [one.tensor.name for one in found.layers] == ["block0.attention", "block1.attention"]
    assert found.pooling is not None
    assert (found.pooling.queries, found.pooling.keys) == (1, 13)


def ended(nodes: list[tuple[str, list[str], list[str], dict[str, Any]]]) -> onnx.ModelProto:
    """A transformer with two tokens in front, its head cut off and something else read."""
    model = Transformer(prefix=2).model()
    kept = [node for node in model.graph.node if "read" not in (*node.input, *node.output)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for op, inputs, outputs, attrs in nodes:
        model.graph.node.append(onnx.helper.make_node(op, inputs, outputs, **attrs))
    linear = ["read", "logits.weight", "logits.bias"]
    model.graph.node.append(onnx.helper.make_node("Gemm", linear, ["logits"], transB=1))
    return model


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        (
            [
                ("Split", ["final", "parts"], ["left", "middle", "others"], {"axis": 1}),
                ("Flatten", ["middle"], ["read"], {}),
            ],
            (1,),
        ),
        (
            [
                ("Split", ["final", "parts"], ["left", "middle", "others"], {"axis": 1}),
                ("ReduceMean", ["others", "axis1"], ["read"], {"keepdims": 0}),
            ],
            tuple(range(2, 14)),
        ),
        (
            [
                ("Gather", ["final", "last"], ["end"], {"axis": 1}),
                ("Flatten", ["end"], ["read"], {}),
            ],
            (13,),
        ),
        (
            [
                ("Slice", ["final", "zeros", "ends", "axes"], ["sliced"], {}),
                ("Flatten", ["sliced"], ["read"], {}),
            ],
            (0,),
        ),
        (
            [
                ("Reshape", ["final", "pairs"], ["flattened"], {}),
                ("Tanh", ["flattened"], ["bounded"], {}),
                ("Reshape", ["bounded", "rows_again"], ["restored"], {}),
                ("ReduceMean", ["restored", "axis2"], ["channels"], {"keepdims": 1}),
                ("Sub", ["restored", "channels"], ["centred"], {}),
                ("Gather", ["centred", "last"], ["end"], {"axis": 1}),
                ("Flatten", ["end"], ["read"], {}),
            ],
            (13,),
        ),
        ([("ReduceMax", ["final", "axis1"], ["read"], {"keepdims": 0})], tuple(range(14))),
    ],
)
def test_other_ways_of_reading(nodes: list[Any], rows: tuple[int, ...]) -> None:
    model = ended(nodes)
    stored = {
        "parts": [1, 1, 12], "axis1": [1], "axis2": [2], "last": [-1], "zeros": [0, 0],
        "ends": [2**31 - 1, 1], "axes": [0, 1], "pairs": [-1, WIDTH], "rows_again": [-1, 14, WIDTH],
    }  # fmt: skip
    for name, values in stored.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))
    assert find_attentions(Network(model)).rows == rows


def test_a_softmax_that_weights_no_values_is_no_attention() -> None:
    model = Transformer().model()
    model.graph.output[0].name = "probabilities"
    end = onnx.helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)
    model.graph.node.append(end)
    assert len(find_attentions(Network(model)).all) == 2


def test_a_stated_grid_of_as_many_places_outweighs_the_one_found() -> None:
    network = Network(Transformer(prefix=2).model())
    assert find_attentions(network, (6, 2)).tokens == Tokens(14, (6, 2), 2)


def test_tokens_behind_the_picture_are_a_suffix() -> None:
    b = Build((1, 3, 16, 16))
    b.conv("image", "patches", (WIDTH, 3, 4, 4), strides=[4, 4], pads=[0, 0, 0, 0])
    b.weight("flat", np.array([1, WIDTH, 16]))
    b.op("Reshape", ["patches", "flat"], "rows")
    b.op("Transpose", ["rows"], "tokens", perm=[0, 2, 1])
    b.weight("extra", weights(1, 3, WIDTH))
    b.op("Concat", ["tokens", "extra"], "all", axis=1)
    b.op("Transpose", ["all"], "keys", perm=[0, 2, 1])
    b.op("MatMul", ["all", "keys"], "affinity")
    b.op("Softmax", ["affinity"], "attention", axis=2)
    b.op("MatMul", ["attention", "all"], "mixed")
    b.op("Add", ["mixed", "all"], "sum")
    b.weight("last", np.array(-3))
    b.op("Gather", ["sum", "last"], "read", axis=1)
    b.linear("read", "logits", WIDTH, CLASSES)
    b.output("logits", [1, CLASSES])
    found = find_attentions(Network(b.model()))
    assert found.tokens == Tokens(19, (4, 4), 0, 3)
    assert found.rows == (16,)
