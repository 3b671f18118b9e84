"""Scan and Loop: every direction and axis, what is read from outside, lengths a run alone knows."""

import numpy as np
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

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

STEP = """
  body = step (float[2,3] s, float[2,3] e) => (float[2,3] t, float[2,3] o) {
    u = MatMul(s, w)
    v = Add(u, e)
    t = Tanh(v)
    o = Mul(t, s)
  }
"""


def scan(x: str = "T,2,3", y: str = "T,2,3", **attrs: str) -> str:
    """One state, one stack read, one written, a weight from outside."""
    given = "".join(f", {name} = [{value}]" for name, value in attrs.items())
    return f"""
    g (float[2,3] h, float[{x}] x, float[3,3] w) => (float[{y}] y) {{
      last, o = Scan (h, x) <num_scan_inputs = 1 {given}, {STEP}>
      y = Mul(o, last)
    }}
    """


NO_STATE = """
g (float[4,2] x, float[4,2] z) => (float[4,2] y) {
  y = Scan (x, z) <num_scan_inputs = 2, scan_input_directions = [0, 1],
    body = step (float[2] a, float[2] b) => (float[2] o) {
      c = Exp(a)
      o = Mul(c, b)
    }>
}
"""
SEVERAL_STATES = """
g (float[2] p, float[3] q, float[T,2] x, float[3,T] z) => (float[T] y)
  <float[2,3] w = {0.3, -1.0, 0.5, 1.2, 0.1, -0.4}> {
  p1, q1, o, r = Scan (p, q, x, z) <num_scan_inputs = 2, scan_input_axes = [0, 1],
    scan_output_axes = [0, 1], scan_output_directions = [1, 0],
    body = step (float[2] a, float[3] b, float[2] c, float[3] d)
        => (float[2] a1, float[3] b1, float[2] o, float[3] r) {
      wb = MatMul(w, b)
      a1 = Add(wb, c)
      aw = MatMul(a1, w)
      f = Mul(aw, d)
      b1 = Tanh(f)
      o = Mul(a1, c)
      r = Exp(b1)
    }>
  s = MatMul(o, w)
  u = Mul(s, q1)
  v = Transpose(r)
  m = Mul(u, v)
  y = ReduceSum<keepdims = 0>(m, one)
}
""".replace("-0.4}>", "-0.4}, int64[1] one = {1}>")
STATE_IS_PUT_OUT = """
g (float[2] h, float[3,2] x) => (float[2] y) {
  last, all = Scan (h, x) <num_scan_inputs = 1,
    body = step (float[2] s, float[2] e) => (float[2] t, float[2] o) {
      u = Mul(s, e)
      t = Sin(u)
      o = Identity(t)
    }>
  sum = ReduceSum<keepdims = 0>(all, zero)
  y = Mul(sum, last)
}
""".replace("(float[2] y) {", "(float[2] y) <int64[1] zero = {0}> {", 1)
OLD_STATE_IS_PUT_OUT = STATE_IS_PUT_OUT.replace("o = Identity(t)", "o = Identity(s)")
ONLY_THE_END = """
g (float[2] h, float[3,2] x) => (float[2] y) {
  y, all = Scan (h, x) <num_scan_inputs = 1,
    body = step (float[2] s, float[2] e) => (float[2] t, float[2] o) {
      u = Mul(s, e)
      t = Sin(u)
      o = Exp(e)
    }>
}
"""
IF_INSIDE = """
g (float[2] h, float[5,2] x) => (float[2] y) {
  y, all = Scan (h, x) <num_scan_inputs = 1,
    body = step (float[2] s, float[2] e) => (float[2] t, float[2] o) {
      m = ReduceSum<keepdims = 0>(e)
      b = Greater(m, nothing)
      t = If (b) <
        then_branch = yes () => (float[2] r) { q = Sin(s) r = Mul(q, h) },
        else_branch = no () => (float[2] r) { q = Exp(e) r = Mul(q, s) }
      >
      o = Identity(e)
    }>
}
""".replace("(float[2] y) {", "(float[2] y) <float nothing = {0.0}> {", 1)
SCANS = {
    **{
        f"scan{name}-{T}": program(scan(**given), sizes={"T": T})
        for T in (1, 4)
        for name, given in (
            ("", {}),
            (" backwards", {"scan_input_directions": "1"}),
            (" put out backwards", {"scan_output_directions": "1"}),
            (" both", {"scan_input_directions": "1", "scan_output_directions": "1"}),
            (" along 1", {"x": "2,T,3", "scan_input_axes": "1"}),
            (" along -1", {"x": "2,3,T", "scan_input_axes": "-1", "scan_input_directions": "1"}),
        )
    },
    "scan put out along 1": program(
        scan(y="2,2,3", scan_output_axes="1", x="2,2,3"), sizes={"T": 2}
    ),
    "scan put out along -2": program(
        scan(y="2,2,3", scan_output_axes="-2", x="2,2,3", scan_output_directions="1")
    ),
    "scan of known length": program(scan(x="3,2,3", y="3,2,3"), opset=11),
    "scan without a state": program(NO_STATE),
    "several states": program(SEVERAL_STATES, sizes={"T": 3}),
    "the state is put out": program(STATE_IS_PUT_OUT),
    "the state before is put out": program(OLD_STATE_IS_PUT_OUT),
    "only the end counts": program(ONLY_THE_END),
    "if in scan": program(IF_INSIDE),
    "of one stack": program(scan(), wrt="x", sizes={"T": 3}),
    "of the weights": program(scan(), wrt="w", sizes={"T": 3}),
}


def loop(head: str = "count,", more: str = "", n: str = "N") -> str:
    return f"""
    g (float[{n},3] x, float[3,3] w, int64 count, bool first) => (float[{n},3] y)
      <float one = {{1.0}}, int64[1] zero = {{0}}> {{
      h = Exp(x)
      last, all = Loop ({head}, x) <
        body = step (int64 i, bool go, float[{n},3] s)
            => (bool on, float[{n},3] t, float[{n},3] o) {{
          {more or "on = Identity(go)"}
          f = Cast<to = 1>(i)
          k = Add(f, one)
          u = MatMul(s, w)
          v = Mul(u, k)
          t = Tanh(v)
          o = Mul(t, h)
        }}>
      sum = ReduceSum<keepdims = 0>(all, zero)
      z = Add(sum, h)
      y = Mul(z, last)
    }}
    """


UNTIL_LARGE = """
          a = Abs(s)
          m = ReduceSum<keepdims = 0>(a)
          d = Cast<to = 1>(count)
          on = Less(m, d)
"""
COUNTED = """
g (float[2] x) => (float[2] y) <int64 count = {%d}, bool yes = {1}> {
  y = Loop (count, yes, x) <
    body = step (int64 i, bool go, float[2] s) => (bool on, float[2] t) {
      on = Identity(go)
      u = Mul(s, x)
      t = Sin(u)
    }>
}
"""
INTEGERS_BESIDE = """
g (float[2] x, int64 count) => (float[2] y) <int64 start = {2}, int64 two = {2}> {
  n, y = Loop (count, , start, x) <
    body = step (int64 i, bool go, int64 k, float[2] s) => (bool on, int64 k1, float[2] t) {
      on = Identity(go)
      k1 = Mul(k, two)
      f = Cast<to = 1>(k)
      u = Div(s, f)
      t = Sin(u)
    }>
}
"""
LOOP_IN_LOOP = """
g (float[2] x, float[2] w, int64 count) => (float[2] y) {
  y = Loop (count, , x) <
    body = outer (int64 i, bool go, float[2] s) => (bool on, float[2] t) {
      on = Identity(go)
      e = Exp(w)
      r = Loop (i, , s) <
        body = inner (int64 j, bool go2, float[2] a) => (bool on2, float[2] b) {
          on2 = Identity(go2)
          c = Mul(a, e)
          d = Mul(c, s)
          b = Sin(d)
        }>
      t = Add(r, w)
    }>
}
"""
ROWS = """
g (float[4,3] x, int64 count) => (float[4,3] y) <float[1,3] h = {0.3, -0.2, 1.0}> {
  last, all = Loop (count, , h) <
    body = step (int64 i, bool go, float[1,3] s) => (bool on, float[1,3] t, float[1,3] o) {
      on = Identity(go)
      row = Gather(x, i)
      u = Mul(s, row)
      t = Sin(u)
      o = Exp(t)
    }>
  z = Squeeze(all, one)
  y = Mul(z, last)
}
""".replace("1.0}>", "1.0}, int64[1] one = {1}>")
LOOPS = {
    **{
        f"loop-{count}": program(loop(n=n), count=count, first=True, sizes={"N": 2}, opset=opset)
        for count, n, opset in ((0, "2", 18), (1, "N", 13), (3, "N", 18), (4, "2", 26))
    },
    "loop until": program(
        loop("count, first", UNTIL_LARGE), count=4, first=True, sizes={"N": 2}, low=-0.5, high=0.5
    ),
    "loop that stops itself": program(
        loop("count, first", UNTIL_LARGE), count=3, first=True, sizes={"N": 2}, low=0.4, high=0.8
    ),
    "loop that never starts": program(loop("count, first", n="2"), count=3, first=False),
    "counted": program(COUNTED % 3),
    "counted none": program(COUNTED % 0),
    "integers beside": program(INTEGERS_BESIDE, count=3),
    "loop in loop": program(LOOP_IN_LOOP, count=3),
    "rows": program(ROWS, count=4),
    "of the weights alone": program(loop(), wrt="w", count=3, first=True, sizes={"N": 2}),
    "of the state alone": program(COUNTED % 2, wrt="x"),
}
PROGRAMS = SCANS | LOOPS


@pytest.mark.parametrize("p", PROGRAMS.values(), ids=PROGRAMS)
def test_gradients(p: Program) -> None:
    check_gradients(p)


@pytest.mark.parametrize("p", PROGRAMS.values(), ids=PROGRAMS)
def test_cotangents(p: Program) -> None:
    check_cotangents(p)


@pytest.mark.parametrize("name", ["scan-4", "several states", "loop-4", "integers beside"])
def test_in_half_precision(name: str) -> None:
    p = in_half(PROGRAMS[name])
    check_gradients(p, tolerance=1e-2)
    seed = np.ones(session_of(p.model).run([p.of], p.feeds)[0].shape)
    assert all(dx.dtype == np.float32 for dx in pulled(p, seed).values())


GROWING = """
g (float[2] x, int64 count) => (float[2] y) <int64[1] two = {2}> {
  long = Loop (count, , x) <
    body = step (int64 i, bool go, float[M] s) => (bool on, float[K] t) {
      on = Identity(go)
      t = Concat<axis = 0>(s, x)
    }>
  y = Reshape(long, two)
}
"""


def test_a_state_that_changes_its_shape_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="shape") as raised:
        append_gradients(parsed(GROWING), of="y", wrt=["x"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("count", "choices"), [(3, 0), (0, 1)])
def test_only_a_loop_that_may_not_run_at_all_needs_a_choice(count: int, choices: int) -> None:
    model = append_gradients(parsed(COUNTED % count), of="y", wrt=["x"])
    assert [node.op_type for node in model.graph.node].count("If") == choices


def test_a_loop_that_passes_something_on_gives_its_gradient_back() -> None:
    model = append_gradients(parsed(COUNTED % 0), of="y", wrt=["x"])
    (dx,) = session_of(model).run(["x_grad"], {"x": np.ones(2, np.float32)})
    np.testing.assert_array_equal(dx, 1)
