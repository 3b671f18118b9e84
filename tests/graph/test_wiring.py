"""Names that are made twice or nowhere, in bodies too."""

from __future__ import annotations

import pytest
from builders import classifier
from onnx import parser

from onnxcam.errors import ModelError
from onnxcam.graph.wiring import require_wired


def model(nodes: str) -> str:
    return f'<ir_version: 8, opset_import: ["": 18]> g (float[2] x, bool c) => (float[2] y) {nodes}'


@pytest.mark.parametrize(
    "nodes",
    [
        "{ y = Relu(x) }",
        "{ y = Neg(z)  z = Relu(x) }",  # the order is another matter
        "{ y = Clip(x, , x) }",
        "{ y = If(c) <then_branch = t () => (a) { a = Relu(x) }, else_branch = e () => (x) {}> }",
        "{ y = If(c) <then_branch = t () => (a) { a = Relu(z) }, else_branch = e () => (x) {}> "
        "z = Neg(x) }",
    ],
)
def test_what_hangs_together(nodes: str) -> None:
    made = parser.parse_model(model(nodes))
    assert require_wired(made) is made


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ("{ y = Relu(z) }", r"node 'y' \(Relu\) reads 'z', which nothing makes"),
        ("{ z = Relu(x) }", "'y' is put out, though nothing makes it"),
        ("{ y = Relu(x) y = Neg(x) }", r"node 'y' \(Neg\) makes 'y', which is there already"),
        ("{ x = Relu(c) y = Neg(x) }", "makes 'x', which is there already"),
        (
            "{ y = If(c) <then_branch = t () => (a) { a = Relu(b) }, else_branch = e () => (x) {}> "
            "z = If(c) <then_branch = t () => (b) { b = Relu(x) }, else_branch = e () => (x) {}> }",
            r"node 'a' \(Relu\) reads 'b'",  # which is made in another body
        ),
        (
            "{ y = If(c) <then_branch = t () => (x) {}, else_branch = e () => (b) {}> }",
            "'b' is put out",
        ),
    ],
)  # fmt: skip
def test_what_does_not(nodes: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        require_wired(parser.parse_model(model(nodes)))


def test_a_whole_model() -> None:
    require_wired(classifier())
