"""Emitted gradients of small graphs against differences, where one node alone says too little.

A `Program` is written in ONNX's text format. Its differences are taken in float64, by ONNX Runtime
where it has the kernels, else by onnx's reference evaluator, else in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from autodiff.checks import check_declared_shapes
from autodiff.floats import with_floats
from autodiff.numeric import Arrays, complete, session_of, spread_values
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnxcam.autodiff import differentiate
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

TARGETS = 2


@dataclass(frozen=True, eq=False)
class Program:
    """A model with what it is fed, differentiated from `of` with respect to `wrt`."""

    model: onnx.ModelProto
    feeds: Arrays
    wrt: tuple[str, ...]
    of: str


def parsed(text: str, opset: int = 18) -> onnx.ModelProto:
    """A model from its graph in ONNX's text format."""
    imports = f'["" : {opset}, "com.microsoft" : 1]'
    model = onnx.parser.parse_model(f"<ir_version: 10, opset_import: {imports}> {text}")
    onnx.checker.check_model(model)
    return model


def program(
    text: str,
    wrt: str | None = None,
    of: str = "y",
    opset: int = 18,
    sizes: Mapping[str, int] | None = None,
    low: float = -1.0,
    high: float = 1.0,
    **feeds: Any,
) -> Program:
    """`wrt` are names with spaces between them, all float inputs if none; `sizes` are what the
    symbols stand for. What is not in `feeds` is fed distinct values in a range."""
    model = parsed(text, opset)
    fed: Arrays = {}
    for k, value in enumerate(model.graph.input):
        kind = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if value.name in feeds:
            fed[value.name] = np.asarray(feeds.pop(value.name), dtype)
            continue
        shape = tuple((sizes or {}).get(d.dim_param, d.dim_value) for d in kind.shape.dim)
        fed[value.name] = spread_values(shape, low, high, k).astype(dtype)
    assert not feeds, f"no inputs: {list(feeds)}"
    floats = [name for name, value in fed.items() if is_float(value)]
    return Program(model, fed, tuple(wrt.split() if wrt else floats), of)


def in_half(p: Program) -> Program:
    """The same in float16."""
    feeds = {k: v.astype(np.float16) if is_float(v) else v for k, v in p.feeds.items()}
    return Program(with_floats(p.model, TensorProto.FLOAT16), feeds, p.wrt, p.of)


def is_float(value: np.ndarray) -> bool:
    return value.dtype.kind in "fV"


def differences(p: Program, weights: np.ndarray) -> Arrays:
    """Central differences of the weighted sum of the output, in the best precision there is."""
    wide = with_floats(p.model, TensorProto.DOUBLE)
    feeds = {k: v.astype(np.float64) if is_float(v) else v for k, v in p.feeds.items()}
    try:
        run, steps = session_of(wide).run, (1e-5,)
    except Exception:  # ONNX Runtime has not every kernel in float64
        try:
            run, steps = ReferenceEvaluator(wide).run, (1e-5,)
            run([p.of], feeds)
        except Exception:  # nor does the reference know all
            run, steps = session_of(with_floats(p.model, TensorProto.FLOAT)).run, (4e-2, 2e-2)
            feeds = {k: v.astype(np.float32) if is_float(v) else v for k, v in p.feeds.items()}

    def total(name: str, moved: np.ndarray) -> float:
        (y,) = run([p.of], feeds | {name: moved})
        return float((np.asarray(y, np.float64) * weights).sum())

    found = {}
    for name in p.wrt:
        x, found[name] = feeds[name], np.zeros(feeds[name].shape)
        for index in np.ndindex(*x.shape):
            unit = np.zeros_like(x)
            unit[index] = 1
            slopes = [(total(name, x + h * unit) - total(name, x - h * unit)) / (2 * h) for h in steps]
            # Two steps in float32 are extrapolated, so that they may be large.
            found[name][index] = slopes[0] if len(steps) == 1 else (4 * slopes[1] - slopes[0]) / 3
    return found


def outputs_of(p: Program) -> np.ndarray:
    return np.asarray(session_of(p.model).run([p.of], p.feeds)[0])


def pulled(p: Program, seed: np.ndarray) -> Arrays:
    """The emitted gradients for a cotangent of the output, expanded to the tensors' shapes."""
    e = Emitter(Network(p.model))
    known = e.network.tensors[p.of].shape
    front = seed.ndim - len(known)
    dims = [1 if s == 1 else d for s, d in zip(seed.shape[front:], known, strict=True)]
    fed = gs.Variable("seed", np.dtype(np.float32), [*seed.shape[:front], *dims])
    found = differentiate(e, {p.of: fed}, p.wrt)
    named = {f"d_{name}": e.expand(dx, e.network.tensors[name]) for name, dx in found.items()}
    model = complete(e, named, [fed])
    check_declared_shapes(e, model)
    feeds = p.feeds | {"seed": seed.astype(np.float32)}
    return dict(zip(found, session_of(model).run(list(named), feeds), strict=True))


def check_gradients(p: Program, tolerance: float = 1e-4) -> None:
    """The gradients agree with differences of the same weighted sum; none is identically zero."""
    y = outputs_of(p)
    weights = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(np.float32)
    want, got = differences(p, weights), pulled(p, weights)
    assert set(got) == set(p.wrt)
    for name, dx in want.items():
        assert_near(got[name], dx, tolerance, name)


def check_cotangents(p: Program) -> None:
    """Several targets at once, and lazy ones, are so many single dense ones."""
    y = outputs_of(p)
    weights = np.random.default_rng(1).uniform(-1, 1, (TARGETS, *y.shape)).astype(np.float32)
    shapes = [y.shape, *_short(y.shape)]
    for shape in shapes:
        part = weights[tuple(slice(0, d) for d in (TARGETS, *shape))]
        each = [pulled(p, np.array(np.broadcast_to(seed, y.shape))) for seed in part]
        together, lazy = pulled(p, part), pulled(p, part[0])
        for name in p.wrt:
            assert_near(together[name], np.stack([one[name] for one in each]), 2e-5, name)
            assert_near(lazy[name], each[0][name], 2e-5, name)


def _short(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """The shape with all axes of length 1, and with the last one so."""
    return [(1,) * len(shape), (*shape[:-1], 1)] if shape else []


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float, name: str = "") -> None:
    """Equal up to a share of the largest expected value."""
    scale = float(np.abs(want).max(initial=0)) or 1.0
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale, err_msg=name)
