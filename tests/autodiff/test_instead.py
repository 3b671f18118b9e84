"""Other derivatives for one walk: in the model, in fused operators and in branches."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import session_of
from onnx import parser

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.registry import OWN, Key, Rule, derivative_of
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network

X = np.array([[0.5, -1.0, 2.0, -0.3]], dtype=np.float32)
RELUS: tuple[Key, ...] = (("", "Relu"), (OWN, "FusedActivation"))


def tripled(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """Unlike any derivative of a ReLU."""
    return e.mul(dy, 3)


def gradient(text: str, replaced: bool) -> np.ndarray:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]> {text}'
    )
    onnx.checker.check_model(model)
    e = Emitter(Network(model))
    ones = e.constant(np.ones((1, 4)), np.float32)
    instead = {key: Rule(tripled, None, takes_one_hot=False) for key in RELUS}
    found = differentiate(e, {"y": ones}, ["x"], instead if replaced else None)
    made = merge(e, {"dx": e.expand(found["x"], e.network.tensors["x"])})
    return np.asarray(session_of(made).run(["dx"], {"x": X})[0])


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("g (float[1,4] x) => (float[1,4] y) { z = Neg(x) y = Relu(z) }", -1),
        (
            "g (float[1,4] x) => (float[1,4] y) { n = ReduceSum <keepdims=0> (x) "
            "zero = Constant <value_float = 0.0> () c = Greater(n, zero) "
            "y = If (c) < then_branch = t () => (float[1,4] a) { a = Relu(x) }, "
            "else_branch = f () => (float[1,4] b) { b = Relu(x) } > }",
            1,
        ),
        (
            "g (float[1,4] x) => (float[1,4] y) <float[4,4] w = "
            "{1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}> "
            '{ y = com.microsoft.FusedGemm <activation = "Relu"> (x, w) }',
            1,
        ),
    ],
    ids=["alone", "in a branch", "fused"],
)
def test_the_other_derivative_counts_everywhere(text: str, factor: int) -> None:
    np.testing.assert_allclose(gradient(text, True), np.full((1, 4), 3.0 * factor))
    np.testing.assert_allclose(gradient(text, False), factor * (factor * X > 0))


def test_the_table_stays_as_it_is() -> None:
    before = {key: derivative_of(gs.Node(op=key[1], domain=key[0] or None)) for key in RELUS}
    gradient("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }", True)
    after = {key: derivative_of(gs.Node(op=key[1], domain=key[0] or None)) for key in RELUS}
    assert before == after
