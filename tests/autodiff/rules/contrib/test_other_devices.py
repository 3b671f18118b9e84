"""Fused operators that have no kernel on the processor, each against its formula in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from autodiff.kernels import Kernel, check_cotangents, check_gradients, check_lowering, kernel
from onnx import helper
from onnx.reference import ReferenceEvaluator

Array = np.ndarray


def _gelu(x: Array) -> Array:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def _softmax(x: Array, axes: tuple[int, ...]) -> Array:
    weights = np.exp(x - x.max(axes, keepdims=True))
    return weights / weights.sum(axes, keepdims=True)


def _group_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    skip: Array | None = None,
    bias: Array | None = None,
    groups: int = 2,
    last: bool = True,
    silu: bool = False,
) -> list[Array]:
    skip = skip[:, None, None, :] if skip is not None and skip.ndim == 2 else skip
    total = x + (0 if skip is None else skip) + (0 if bias is None else bias)
    first = np.moveaxis(total, -1, 1) if last else total
    apart = first.reshape(len(first), groups, -1)
    centred = apart - apart.mean(-1, keepdims=True)
    y = (centred / np.sqrt(apart.var(-1, keepdims=True) + 1e-5)).reshape(first.shape)
    y = y * gamma[:, None, None] + beta[:, None, None]
    y = y / (1 + np.exp(-y)) if silu else y
    return [np.moveaxis(y, 1, -1) if last else y, total]


def _nhwc_conv(x: Array, w: Array, b: Array | None, z: Array | None, **attrs: Any) -> Array:
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attrs)
    graph = helper.make_graph(
        [node],
        "conv",
        [helper.make_tensor_value_info(name, 1, None) for name in "xw"],
        [helper.make_tensor_value_info("y", 1, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    feeds = {"x": np.moveaxis(x, -1, 1), "w": np.moveaxis(w, -1, 1)}
    y = np.moveaxis(ReferenceEvaluator(model).run(None, feeds)[0], 1, -1)
    return y + (0 if b is None else b) + (0 if z is None else z)


def _attention(q: Array, k: Array, v: Array) -> Array:
    """Of (N, T, heads, D), as (N, T, heads * D)."""
    scores = np.einsum("nthd,nshd->nhts", q, k) / math.sqrt(q.shape[-1])
    y = np.einsum("nhts,nshd->nthd", _softmax(scores, (-1,)), v)
    return y.reshape(*y.shape[:2], -1)


STRIDED = {"strides": [2, 1], "pads": [1, 0, 1, 1]}
X = (2, 4, 3, 6)
KERNELS = [
    kernel("BiasAdd", X, (6,), X, wrt=(0, 1, 2), formula=lambda x, b, s: [x + b + s]),
    kernel(
        "BiasSplitGelu",
        (2, 3, 8),
        (8,),
        wrt=(0, 1),
        formula=lambda x, b: [(x + b)[..., :4] * _gelu((x + b)[..., 4:])],
        exact=False,
    ),
    kernel(
        "BiasSoftmax",
        (2, 2, 3, 4),
        (2, 1, 1, 4),
        wrt=(0, 1),
        axis=3,
        is_inner_broadcast=1,
        formula=lambda x, b: [_softmax(x + b, (-1,))],
    ),
    kernel(
        "BiasSoftmax",
        (2, 2, 3, 4),
        (1, 1, 3, 4),
        wrt=(0, 1),
        axis=2,
        is_inner_broadcast=0,
        formula=lambda x, b: [_softmax(x + b, (-2, -1))],
    ),
    kernel(
        "GroupNorm",
        X,
        (6,),
        (6,),
        groups=2,
        activation=0,
        formula=lambda x, g, b: _group_norm(x, g, b)[:1],
    ),
    kernel(
        "GroupNorm",
        (2, 6, 3, 2),
        (6,),
        (6,),
        groups=3,
        activation=1,
        channels_last=0,
        formula=lambda x, g, b: _group_norm(x, g, b, groups=3, last=False, silu=True)[:1],
    ),
    kernel(
        "SkipGroupNorm",
        X,
        (6,),
        (6,),
        X,
        (6,),
        wrt=(0, 3, 4),
        of=(0, 1),
        outputs=2,
        groups=2,
        activation=1,
        formula=lambda x, g, b, s, c: _group_norm(x, g, b, s, c, silu=True),
    ),
    kernel(
        "SkipGroupNorm",
        X,
        (6,),
        (6,),
        (2, 6),
        wrt=(0, 3),
        of=(0, 1),
        outputs=2,
        groups=2,
        activation=0,
        formula=lambda x, g, b, s: _group_norm(x, g, b, s),
    ),
    kernel(
        "NhwcConv",
        (2, 5, 4, 3),
        (4, 3, 2, 3),
        (4,),
        formula=lambda x, w, b: [_nhwc_conv(x, w, b, None, **STRIDED)],
        **STRIDED,
    ),
    kernel(
        "NhwcFusedConv",
        (2, 5, 4, 4),
        (4, 2, 2, 2),
        None,
        (2, 4, 3, 4),
        wrt=(0, 3),
        group=2,
        activation="Relu",
        exact=False,
        formula=lambda x, w, b, z: [np.maximum(_nhwc_conv(x, w, b, z, group=2), 0)],
    ),
    kernel(
        "NhwcMaxPool",
        (2, 4, 5, 3),
        kernel_shape=[2, 2],
        formula=lambda x: [
            np.max([x[:, i : i + 3, j : j + 4] for i in (0, 1) for j in (0, 1)], axis=0)
        ],
    ),
    kernel(
        "MultiHeadAttention",
        (2, 3, 2, 3, 4),
        num_heads=2,
        formula=lambda x: [_attention(*(x[:, :, :, k] for k in range(3)))],
    ),
    kernel(
        "MultiHeadAttention",
        (2, 3, 8),
        (2, 5, 2, 2, 4),
        wrt=(0, 1),
        num_heads=2,
        formula=lambda q, kv: [_attention(q.reshape(2, 3, 2, 4), kv[:, :, :, 0], kv[:, :, :, 1])],
    ),
]
WAYS = [(each, dynamic) for each in KERNELS for dynamic in (False, True)]


@pytest.mark.parametrize(("each", "dynamic"), WAYS, ids=str)
def test_gradients_are_those_of_the_formula(each: Kernel, dynamic: bool) -> None:
    check_gradients(each, dynamic)


@pytest.mark.parametrize(("each", "dynamic"), WAYS, ids=str)
def test_cotangents_may_be_several_and_lazy(each: Kernel, dynamic: bool) -> None:
    check_cotangents(each, dynamic)


@pytest.mark.parametrize("each", [k for k in KERNELS if k.exact], ids=str)
def test_what_is_emitted_computes_the_formula(each: Kernel) -> None:
    check_lowering(each)
