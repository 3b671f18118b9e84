"""Emitted gradients of small graphs against differences, where one node alone says too little.

A `Program` is written in ONNX's text format. Its differences are taken in float64, by ONNX Runtime
where it has the kernels, else by onnx's reference evaluator where that agrees, else in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from autodiff.checks import check_declared_shapes
from autodiff.floats import with_floats
from autodiff.numeric import Arrays, complete, session_of, spread_values
from onnx import TensorProto, helper, numpy_helper
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
    stored: str = "",
    low: float = -1.0,
    high: float = 1.0,
    **feeds: Any,
) -> Program:
    """`wrt` are names with spaces between them, all float inputs if none; `sizes` are what the
    symbols stand for. What is not in `feeds` is fed distinct values in a range. The inputs `stored`
    become initializers."""
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
    for value in [v for v in model.graph.input if v.name in stored.split()]:
        tensor = numpy_helper.from_array(fed.pop(value.name), value.name)
        model.graph.initializer.append(tensor)
        model.graph.input.remove(value)
    floats = [name for name, value in fed.items() if is_float(value)]
    return Program(model, fed, tuple(wrt.split() if wrt else floats), of)


def in_half(p: Program) -> Program:
    """The same in float16."""
    model = with_floats(p.model, TensorProto.FLOAT16)
    return Program(model, _as_type(p.feeds, np.float16), p.wrt, p.of)


def is_float(value: np.ndarray) -> bool:
    return value.dtype.kind in "fV"


Run = Callable[[Arrays], np.ndarray]

SMOOTH = 0.7
"""Differences in float32 must be trusted at so many positions; the others are at a kink."""


def differences(p: Program, weights: np.ndarray) -> Arrays:
    """Central differences of the weighted sum of the output, in the best precision there is.

    NaN where they cannot be trusted.
    """
    found = {name: np.zeros(p.feeds[name].shape) for name in p.wrt}
    double = _in_double(p)
    run = double or _runner(session_of(with_floats(p.model, TensorProto.FLOAT)), p.of)
    feeds = _as_type(p.feeds, np.float64 if double else np.float32)

    def slope(name: str, index: tuple[int, ...], step: float) -> float:
        ends = []
        for sign in (step, -step):
            moved = feeds[name].copy()
            moved[index] += sign
            ends.append(float((run(feeds | {name: moved}).astype(np.float64) * weights).sum()))
        return (ends[0] - ends[1]) / (2 * step)

    for name, gradient in found.items():
        for index in np.ndindex(*gradient.shape):
            if double:
                gradient[index] = slope(name, index, 1e-5)
            else:
                gradient[index] = _extrapolated(
                    *(slope(name, index, h) for h in (2e-2, 1e-2, 5e-3))
                )
    return found


def _extrapolated(far: float, near: float, nearest: float) -> float:
    """The slope at step 0, from three steps that each halve the one before."""
    one, two = (4 * near - far) / 3, (4 * nearest - near) / 3
    return two if abs(one - two) <= 1e-3 * max(1.0, abs(two)) else np.nan


def _in_double(p: Program) -> Run | None:
    """The model in float64, where something can run it that agrees with its float32 self."""
    wide, feeds = with_floats(p.model, TensorProto.DOUBLE), _as_type(p.feeds, np.float64)
    feeds = {value.name: feeds[value.name] for value in wide.graph.input}
    for engine in (session_of, ReferenceEvaluator):
        try:
            run = _runner(engine(wide), p.of)
            close = np.allclose(run(feeds), outputs_of(p), atol=1e-2 if _is_half(p) else 1e-5)
        except Exception:  # a kernel that is missing; the reference raises whatever its code does
            continue
        if close:
            return run
    return None


def _runner(engine: Any, of: str) -> Run:
    return lambda feeds: np.asarray(engine.run([of], feeds)[0])


def _as_type(feeds: Arrays, dtype: Any) -> Arrays:
    return {k: v.astype(dtype) if is_float(v) else v for k, v in feeds.items()}


def _is_half(p: Program) -> bool:
    return any(v.dtype == np.float16 for v in p.feeds.values())


def outputs_of(p: Program) -> np.ndarray:
    return np.asarray(session_of(p.model).run([p.of], p.feeds)[0])


def pulled(p: Program, seed: np.ndarray) -> Arrays:
    """The emitted gradients for a cotangent of the output, expanded to the tensors' shapes."""
    names, session = _backward(p, seed.shape)
    feeds = p.feeds | {"seed": seed.astype(np.float32)}
    return dict(zip(names, session.run([f"d_{name}" for name in names], feeds), strict=True))


@cache
def _backward(p: Program, shape: tuple[int, ...]) -> tuple[list[str], Any]:
    """The names of what has a gradient, and what runs the model with those for a seed."""
    e = Emitter(Network(p.model))
    known = e.network.tensors[p.of].shape
    front = len(shape) - len(known)
    dims = [1 if s == 1 else d for s, d in zip(shape[front:], known, strict=True)]
    seed = gs.Variable("seed", np.dtype(np.float32), [*shape[:front], *dims])
    found = differentiate(e, {p.of: seed}, p.wrt)
    named = {f"d_{name}": e.expand(dx, e.network.tensors[name]) for name, dx in found.items()}
    model = complete(e, named, [seed])
    check_declared_shapes(e, model)
    return list(found), session_of(model)


def check_gradients(p: Program, tolerance: float = 1e-4) -> None:
    """The gradients agree with differences of the same weighted sum; none is identically zero."""
    y = outputs_of(p)
    weights = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(np.float32)
    want, got = differences(p, weights), pulled(p, weights)
    assert set(got) == set(p.wrt)
    for name, dx in want.items():
        trusted = np.isfinite(dx)
        assert trusted.mean() >= SMOOTH, name
        assert got[name].shape == dx.shape, name
        assert_near(got[name][trusted], dx[trusted], tolerance, name)


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
