"""Model-local functions in place of their calls: the model computes what it did."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from autodiff.numeric import assert_close, difference_gradient, session_of

from onnxcam.errors import ModelError
from onnxcam.gradients import append_gradients
from onnxcam.graph.functions import without_functions
from onnxcam.graph.network import Network

MODEL = '<ir_version: 9, opset_import: ["": 18, "loc": 1]> g (float[2,3] x) => (float[2,3] y)'
LOCAL = '<domain: "loc", opset_import: ["": {}, "loc": 1]>'
X = np.float32([[-1.7, -0.4, 0.3], [0.9, 1.6, -2.2]])


def model_of(nodes: str, *functions: str, opset: int = 18) -> onnx.ModelProto:
    parts = [MODEL, "{", nodes, "}"]
    for function in functions:
        parts += [LOCAL.format(opset), function]
    return onnx.parser.parse_model("\n".join(parts))


LEAKY = "(a) => (b) { b = LeakyRelu<alpha: float = @alpha>(a) }"
INNER = "k <alpha> (t) => (x) { y = Sin(t) x = LeakyRelu<alpha: float = @alpha>(y) }"
OUTER = "f <alpha> (a) => (b) { t = loc.k<alpha: float = @alpha>(a) b = Mul(t, t) }"
DEFAULTED = INNER.replace("<alpha>", "<alpha: float = 0.2>")
BRANCHES = """
    zero = Constant<value = float {0.0}> ()
    s = ReduceSum<keepdims = 0> (x)
    c = Greater (s, zero)
    y = If (c) <then_branch = then () => (float[2,3] u) { u = loc.f (x) },
                else_branch = else () => (float[2,3] v) { w = loc.f (x) v = Neg (w) }>
"""

CALLS = {
    "called twice": (
        "t = loc.f (x) y = loc.f (t)",
        "f (a) => (b) { t = Sin(a) b = Mul(t, a) }",
    ),
    "an attribute by reference": ("y = loc.f<alpha = 0.3> (x)", f"f <alpha> {LEAKY}"),
    "an attribute left to the operator": ("y = loc.f (x)", f"f <alpha> {LEAKY}"),
    "a default": ("y = loc.f (x)", f"f <alpha: float = 0.4> {LEAKY}"),
    "a default overruled": (
        "y = loc.f<alpha = 0.7> (x)",
        f"f <alpha: float = 0.4> {LEAKY}",
    ),
    "nested": ("t = loc.f<alpha = 0.3> (x) y = loc.f<alpha = 0.6> (t)", OUTER, INNER),
    "nested, the inner one first": ("y = loc.f<alpha = 0.3> (x)", INNER, OUTER),
    "nested, with defaults": (
        "t = loc.f<alpha = 0.3> (x) y = loc.f (t)",
        OUTER.replace("<alpha>", "<alpha: float = 0.6>"),
        DEFAULTED,
    ),
    "a default of the inner one": (
        "y = loc.f (x)",
        OUTER.replace("<alpha>", "").replace("<alpha: float = @alpha>", ""),
        DEFAULTED,
    ),
    "a default behind a reference to what is left out": ("y = loc.f (x)", OUTER, DEFAULTED),
    "left out by one caller only": (
        "t = loc.f<alpha = 0.5> (x) u = loc.f (t) y = loc.f (u)",
        "f <alpha> (a) => (b) { t = loc.k<alpha: float = @alpha>(a)"
        " b = LeakyRelu<alpha: float = @alpha>(t) }",
        DEFAULTED,
    ),
    "one of two attributes left out": (
        "t = loc.f<beta = 0.5> (x) y = loc.f<alpha = 0.3> (t)",
        "f <alpha, beta> (a) => (b) { t = loc.k<alpha: float = @alpha>(a)"
        " b = loc.k<alpha: float = @beta>(t) }",
        DEFAULTED,
    ),
    "left out in a branch": (
        "y = loc.f (x)",
        "f <alpha> (a) => (b) { zero = Constant<value = float {0.0}> () s = ReduceSum<keepdims = 0>"
        " (a) c = Greater (s, zero) b = If (c) <then_branch = then () => (u)"
        " { u = loc.k<alpha: float = @alpha>(a) }, else_branch = else () => (v)"
        " { v = LeakyRelu<alpha: float = @alpha>(a) }> }",
        DEFAULTED,
    ),
    "a name that a variant could have": (
        "t = loc.f (x) y = loc.f_1 (t)",
        OUTER,
        DEFAULTED,
        "f_1 (a) => (b) { b = Cos(a) }",
    ),
    "names that clash": (
        "t = Exp(x) b = loc.f (t) a = Sub(b, t) y = loc.f (a)",
        "f (x) => (y) { t = Sin(x) a = Cos(t) b = Mul(a, x) y = Add(b, t) }",
    ),
    "an optional input left out": (
        "high = Constant<value = float {1.0}> () y = loc.f (x, , high)",
        "f (a, low, high) => (b) { b = Clip(a, low, high) }",
    ),
    "optional inputs at the end": (
        "low = Constant<value = float {-1.0}> () y = loc.f (x, low)",
        "f (a, low, high) => (b) { b = Clip(a, low, high) }",
    ),
    "several outputs": (
        "s, c = loc.f (x) y = Div(s, c)",
        "f (a) => (s, c) { s = Sin(a) t = Abs(a) c = Exp(t) }",
    ),
    "an output left out": (
        ", y = loc.f (x)",
        "f (a) => (s, c) { s = Sin(a) c = Exp(a) }",
    ),
    "called in branches": (BRANCHES, "f (a) => (b) { t = Exp(a) b = Mul(t, a) }"),
    "never called": ("y = Sin(x)", "f (a) => (b) { b = Exp(a) }"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_model_computes_what_it_did(name: str) -> None:
    model = model_of(*CALLS[name])
    onnx.checker.check_model(model)
    before = model.SerializeToString()
    plain = without_functions(model)
    assert model.SerializeToString() == before
    assert not plain.functions
    onnx.checker.check_model(plain)
    for x in (X, -X):
        (want,) = session_of(model).run(["y"], {"x": x})
        (got,) = session_of(plain).run(["y"], {"x": x})
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("name", ["nested, with defaults", "names that clash", "several outputs"])
def test_gradients_flow_through_calls(name: str) -> None:
    model = model_of(*CALLS[name])
    session = session_of(model)
    want = difference_gradient(
        lambda x: session.run(["y"], {"x": x.astype(np.float32)})[0],
        X.astype(np.float64),
        np.ones(X.shape),
        1e-3,
    )
    (got,) = session_of(append_gradients(model, of="y", wrt=["x"])).run(["x_grad"], {"x": X})
    assert_close(got, want, 2e-3)


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_a_function_of_another_opset_with_the_same_operators(opset: int) -> None:
    model = model_of("y = loc.f (x)", "f (a) => (b) { t = Exp(a) b = Mul(t, a) }", opset=opset)
    plain = without_functions(model)
    assert [node.op_type for node in plain.graph.node] == ["Exp", "Mul"]
    (want,) = session_of(model).run(["y"], {"x": X})
    np.testing.assert_allclose(session_of(plain).run(["y"], {"x": X})[0], want, rtol=1e-6)


def test_both_names_of_the_standard_are_one() -> None:
    model = model_of("y = loc.f (x)", "f (a) => (b) { t = Exp(a) b = Mul(t, a) }", opset=17)
    (want,) = session_of(model).run(["y"], {"x": X})
    model.opset_import[0].domain = "ai.onnx"
    plain = without_functions(model)
    assert [node.op_type for node in plain.graph.node] == ["Exp", "Mul"]
    plain.opset_import[0].domain = ""
    np.testing.assert_allclose(session_of(plain).run(["y"], {"x": X})[0], want, rtol=1e-6)


@pytest.mark.parametrize(
    ("opset", "function"),
    [
        (17, "f (a) => (b) { t = ReduceMean<axes = [1]>(a) b = Mul(t, a) }"),
        (20, "f (a) => (b) { b = Gelu(a) }"),
    ],
)
def test_a_function_of_another_opset_with_other_operators(opset: int, function: str) -> None:
    with pytest.raises(ModelError, match=f"imports version {opset} whereas model .* 18"):
        Network(model_of("y = loc.f (x)", function, opset=opset))


def test_functions_of_one_name_and_several_overloads() -> None:
    model = model_of("t = loc.f (x) y = loc.f (t)", "f (a) => (b) { b = Sin(a) }")
    model.ir_version = 10
    other = model.functions.add()
    other.CopyFrom(model.functions[0])
    other.overload = "exp"
    other.node[0].op_type = "Exp"
    model.graph.node[1].overload = "exp"
    plain = without_functions(model)
    assert [node.op_type for node in plain.graph.node] == ["Sin", "Exp"]
    (want,) = session_of(model).run(["y"], {"x": X})
    np.testing.assert_allclose(session_of(plain).run(["y"], {"x": X})[0], want, rtol=1e-6)


def test_two_functions_of_one_name_are_refused() -> None:
    model = model_of("y = loc.f (x)", *["f (a) => (b) { b = Sin(a) }"] * 2)
    with pytest.raises(ModelError, match="has two functions 'f'"):
        without_functions(model)


def test_functions_that_call_each_other_are_named() -> None:
    model = model_of(
        "y = loc.f (x)", "f (a) => (b) { b = loc.k(a) }", "k (a) => (b) { b = loc.f(a) }"
    )
    with pytest.raises(ModelError, match="function 'f' calls itself"):
        without_functions(model)


def test_a_model_without_functions_is_left_alone() -> None:
    model = model_of("y = Exp(x)")
    assert without_functions(model) is model
