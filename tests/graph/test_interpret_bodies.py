"""Shapes behind If and Loop."""

from __future__ import annotations

import pytest
from autodiff.programs import parsed

from onnxcam.graph.network import Network


def shape(text: str, name: str = "y") -> list | None:
    return Network(parsed(text)).tensors[name].shape


CHOICE = """
g (float[N,3] x, bool b) => (float[A,B] y) <bool yes = {1}, bool no = {0}, int64[1] one = {1}> {
  r = If (%s) <
    then_branch = t () => (float[P,Q] c) { c = Concat<axis = 1>(x, x) },
    else_branch = e () => (float[P,Q] c) { %s }
  >
  y = Identity(r)
}
"""


@pytest.mark.parametrize(
    ("condition", "otherwise", "found"),
    [
        ("yes", "c = ReduceSum<keepdims = 1>(x, one)", 6),
        ("no", "c = ReduceSum<keepdims = 1>(x, one)", 1),
        ("b", "e = Exp(x) c = Concat<axis = 1>(e, x)", 6),
    ],
)
def test_a_choice(condition: str, otherwise: str, found: int) -> None:
    network = Network(parsed(CHOICE % (condition, otherwise)))
    assert network.tensors["r"].shape == ["N", found]
    assert network.tensors["y"].shape == ["N", found]


def test_branches_that_disagree_leave_the_shape_open() -> None:
    found = shape(CHOICE % ("b", "c = ReduceSum<keepdims = 1>(x, one)"), "r")
    assert found is None or found[1] is None


LOOP = """
g (float[N,3] x, int64 count) => (float[A,B] y)
  <float[3,4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6}> {
  last, all = Loop (count, , x) <
    body = step (int64 i, bool go, float[P,Q] s) => (bool on, float[P,Q] t, float[P,R] o) {
      on = Identity(go)
      t = %s
      o = MatMul(s, w)
    }>
  y = Identity(last)
}
"""


def test_a_state_keeps_its_shape_and_what_is_put_out_is_stacked() -> None:
    network = Network(parsed(LOOP % "Exp(s)"))
    assert network.tensors["last"].shape == ["N", 3]
    assert network.tensors["all"].shape == [None, "N", 4]
    assert network.tensors["y"].shape == ["N", 3]


def test_a_state_that_grows_has_no_known_shape() -> None:
    found = shape(LOOP % "Concat<axis = 1>(s, s)", "last")
    assert found is None or found[1] is None


def test_what_is_behind_a_choice_inside_a_loop() -> None:
    text = """
    g (float[N,3] x, int64 count, bool b) => (float[A,B] y) {
      y = Loop (count, , x) <
        body = step (int64 i, bool go, float[P,Q] s) => (bool on, float[P,Q] t) {
          on = Identity(go)
          t = If (b) <
            then_branch = yes () => (float[P,Q] c) { c = Exp(s) },
            else_branch = no () => (float[P,Q] c) { c = Mul(s, x) }
          >
        }>
    }
    """
    assert shape(text) == ["N", 3]
