"""Softmax where a row has no number in it. Its ordinary cases stand in `test_normalization`."""

from __future__ import annotations

import numpy as np
import pytest
from autodiff.programs import Program, check_cotangents, check_gradients, in_half, program

from onnxcam.gradients import append_gradients

MASK = np.float32([[0, 0, -np.inf], [-np.inf] * 3, [0, -np.inf, -np.inf]])
"""Which keys each query attends to; the second attends to none."""

BY_NUMBER = "n = IsNaN(p) r = Where(n, zero, p)"
BY_MASK = "m = ReduceMax<axes = [-1]>(mask) n = Equal(m, never) r = Where(n, zero, p)"


def attention(replacing: str, opset: int = 17) -> Program:
    text = f"""
    g (float[N,3,4] q, float[N,4,3] k, float[3,3] mask, float[N,3,2] v) => (float[N,3,2] y)
    <float zero = {{0}}, float never = {{-inf}}> {{
      s = MatMul(q, k) b = Add(s, mask) p = Softmax<axis = -1>(b) {replacing} y = MatMul(r, v)
    }}
    """
    return program(text, wrt="q k v", stored="mask", opset=opset, sizes={"N": 2}, mask=MASK)


@pytest.mark.parametrize("replacing", [BY_NUMBER, BY_MASK], ids=["by number", "by mask"])
def test_a_row_masked_entirely_and_replaced_passes_nothing_on(replacing: str) -> None:
    p = attention(replacing)
    check_gradients(p)
    check_cotangents(p)


def test_in_half_precision_too() -> None:
    check_gradients(in_half(attention(BY_NUMBER)), 5e-3)


def test_behind_a_cast() -> None:
    cast = "w = Cast<to = 11>(p) n = IsNaN(w) t = Where(n, dz, w) r = Cast<to = 1>(t)"
    p = attention(f"dz = Constant<value = double {{0}}>() {cast}")
    check_gradients(p)


def test_nothing_is_looked_for_where_the_model_replaces_nothing() -> None:
    model = append_gradients(attention("r = Identity(p)").model, "y", ["q"])
    assert "IsNaN" not in {node.op_type for node in model.graph.node}
