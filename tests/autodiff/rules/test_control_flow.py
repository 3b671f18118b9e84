"""If: the branch that was taken, by a condition that is known beforehand or only when it runs."""

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from autodiff.programs import (
    Program,
    check_cotangents,
    check_gradients,
    in_half,
    parsed,
    program,
    pulled,
)

from onnxcam.autodiff.walk import find_path
from onnxcam.gradients import append_gradients
from onnxcam.graph.network import Network

BRANCHES = """
  then_branch = yes () => (float[2,3] a) <float[3] scale = {2.0, 0.5, -1.0}> {
    e = Exp(h)
    s = Mul(e, scale)
    a = Mul(s, x)
  },
  else_branch = no () => (float[2,3] a) <float[3] scale = {0.3, 1.5, 0.7}> {
    e = Mul(h, scale)
    a = Sin(e)
  }
"""
"""Both read tensors from outside; their own tensors and weights have the same names."""

PLAIN = f"""
g (float[N,3] x, bool b) => (float[N,3] y) {{
  h = Tanh(x)
  o = If (b) <{BRANCHES}>
  y = Mul(o, h)
}}
"""
KNOWN = f"""
g (float[2,3] x) => (float[2,3] y) <bool b = {{%d}}> {{
  h = Tanh(x)
  o = If (b) <{BRANCHES}>
  y = Mul(o, h)
}}
"""
SHAPE_DECIDES = f"""
g (float[2,3] x) => (float[2,3] y) <int64 two = {{%d}}> {{
  h = Tanh(x)
  shape = Shape<start = 0, end = 1>(x)
  b = Equal(shape, two)
  o = If (b) <{BRANCHES}>
  y = Mul(o, h)
}}
"""
SEVERAL = """
g (float[2,3] x, float[2,3] w, bool b) => (float[2,3] y) {
  p, q = If (b) <
    then_branch = yes () => (float[2,3] p, float[2,3] q) {
      p = Mul(x, w)
      q = Exp(p)
    },
    else_branch = no () => (float[2,3] p, float[2,3] q) {
      p = Sin(x)
      q = Identity(x)
    }
  >
  r = Mul(p, q)
  y = Add(r, p)
}
"""
NESTED = """
g (float[2,3] x, float[2,3] w, bool b, bool c) => (float[2,3] y) {
  y = If (b) <
    then_branch = yes () => (float[2,3] out) {
      h = Mul(x, w)
      out = If (c) <
        then_branch = yes () => (float[2,3] in) { k = Exp(h) in = Mul(k, x) },
        else_branch = no () => (float[2,3] in) { k = Sin(w) in = Mul(k, h) }
      >
    },
    else_branch = no () => (float[2,3] out) { h = Cos(x) out = Mul(h, w) }
  >
}
"""
PASSED_ON = """
g (float[2,3] x, bool b) => (float[2,3] y) {
  h = Exp(x)
  y = If (b) <
    then_branch = yes () => (float[2,3] p) { p = Identity(h) },
    else_branch = no () => (float[2,3] p) { t = Sin(x) p = Mul(t, h) }
  >
}
"""
LOOP_INSIDE = """
g (float[2,3] x, float[2,3] w, bool b, int64 count) => (float[2,3] y) {
  h = Exp(x)
  y = If (b) <
    then_branch = yes () => (float[2,3] p) {
      p = Loop (count, , h) <
        body = step (int64 i, bool go, float[2,3] s) => (bool on, float[2,3] t) {
        on = Identity(go)
        u = Mul(s, w)
        t = Sin(u)
      }>
    },
    else_branch = no () => (float[2,3] p) { p = Mul(h, w) }
  >
}
"""

PROGRAMS = {
    f"{name}-{b}": program(text, b=b, opset=opset, sizes={"N": 2})
    for name, text, opset in (
        ("plain", PLAIN, 11),
        ("plain", PLAIN, 18),
        ("plain", PLAIN, 26),
        ("several", SEVERAL, 18),
        ("passed on", PASSED_ON, 18),
    )
    for b in (True, False)
}
PROGRAMS |= {f"known-{b}": program(KNOWN % b) for b in (1, 0)}
PROGRAMS |= {f"shape decides-{n}": program(SHAPE_DECIDES % n) for n in (2, 5)}
PROGRAMS |= {f"nested-{b}-{c}": program(NESTED, b=b, c=c) for b in (1, 0) for c in (1, 0)}
PROGRAMS |= {f"loop inside-{b}": program(LOOP_INSIDE, b=b, count=3) for b in (1, 0)}


def each(programs: dict[str, Program]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("p", programs.values(), ids=programs)


@each(PROGRAMS)
def test_gradients(p: Program) -> None:
    check_gradients(p)


@each(PROGRAMS)
def test_cotangents(p: Program) -> None:
    check_cotangents(p)


@each({name: in_half(PROGRAMS[name]) for name in ("plain-True", "plain-False", "several-True")})
def test_in_half_precision(p: Program) -> None:
    check_gradients(p, tolerance=5e-3)
    assert all(dx.dtype == np.float32 for dx in pulled(p, np.ones((2, 3))).values())


def test_a_known_condition_leaves_no_choice_to_the_run() -> None:
    model = append_gradients(parsed(KNOWN % 1), of="y", wrt=["x"])
    assert [node.op_type for node in model.graph.node].count("If") == 1
    assert "Cos" not in {node.op_type for node in model.graph.node}  # of the other branch


ONE_BRANCH_ONLY = """
g (float[2,3] x, bool b) => (float[2,3] y) {
  y = If (b) <
    then_branch = yes () => (float[2,3] p) { p = Exp(x) },
    else_branch = no () => (float[2,3] p) { c = ConstantOfShape(shape) p = Identity(c) }
  >
}
""".replace("(float[2,3] y) {", "(float[2,3] y) <int64[2] shape = {2, 3}> {", 1)


def test_where_the_branch_taken_does_not_depend_on_a_tensor_its_gradient_is_zero() -> None:
    model = append_gradients(parsed(ONE_BRANCH_ONLY), of="y", wrt=["x"])
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    for b in (True, False):
        (dx,) = session_of(model).run(["x_grad"], {"x": x, "b": np.array(b)})
        np.testing.assert_allclose(dx, np.exp(x) * b, rtol=1e-5)


def test_branches_that_round_give_zeros() -> None:
    rounds = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]>'
        "g (float[2] x, bool b) => (float[2] y) { y = If (b) <"
        "then_branch = yes () => (float[2] p) { r = Round(x) p = Identity(r) },"
        "else_branch = no () => (float[2] p) { r = Floor(x) p = Identity(r) }> }"
    )
    model = append_gradients(rounds, of="y", wrt=["x"])
    feeds = {"x": np.ones(2, np.float32), "b": np.array(True)}
    np.testing.assert_array_equal(session_of(model).run(["x_grad"], feeds)[0], 0)


def test_the_path_goes_through_what_the_branches_read() -> None:
    path = find_path(Network(parsed(PLAIN)).graph.nodes, ["x"], ["y"]).nodes
    assert [node.op for node in path] == ["Tanh", "If", "Mul"]
