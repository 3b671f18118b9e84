"""What is asked of every rule, one case at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import (
    Case,
    Fed,
    assert_close,
    case_seed,
    complete,
    expected,
    feeds_of,
    model_of,
    network_of,
    session_of,
    single,
)
from onnx import helper

from onnxcam.autodiff import differentiate
from onnxcam.graph.emitter import Emitter

TARGETS = 3
"""How many targets are differentiated at once where there are several."""


def check_gradient(case: Case, dynamic: tuple[int, ...] = ()) -> None:
    """The gradient agrees with finite differences, and the output is what it was."""
    y, weights, gradient = expected(case)
    e = Emitter(network_of(case, dynamic))
    target, source = e.network.tensors[case.y], e.network.tensors[case.x]
    seed = gs.Variable("seed", target.dtype, list(target.shape))
    dx = differentiate(e, {case.y: seed}, [case.x])[case.x]
    session = session_of(complete(e, {"dx": e.expand(dx, source)}, [seed]))
    feeds = single(feeds_of(case)) | {"seed": weights.astype(target.dtype)}
    got_y, got = session.run([case.y, "dx"], feeds)
    assert_close(got_y, y)
    assert_close(got, gradient, 1e-3 if case.runtime else 1e-4)


def check_cotangents(case: Case, dynamic: tuple[int, ...] = ()) -> None:
    """Several targets at once are so many single ones; a lazy cotangent is its expanded self."""
    e = Emitter(network_of(case, dynamic))
    y = e.network.tensors[case.y]
    sizes = expected(case)[0].shape
    lazy_sizes = _lazy_shapes(sizes)
    shapes = {"full": sizes, "lead": (TARGETS, *sizes)}
    shapes |= {f"lazy{k}": short for k, short in enumerate(lazy_sizes)}
    shapes |= {f"lead_lazy{k}": (TARGETS, *short) for k, short in enumerate(lazy_sizes)}
    seeds = {
        name: gs.Variable(f"seed_{name}", y.dtype, _declared(shape, list(y.shape)))
        for name, shape in shapes.items()
    }
    outputs = {
        name: differentiate(e, {case.y: seed}, [case.x])[case.x] for name, seed in seeds.items()
    }
    model = complete(e, {f"d_{name}": dx for name, dx in outputs.items()}, list(seeds.values()))
    check_declared_shapes(e, model)
    session = session_of(model)
    rng = np.random.default_rng(case_seed(case))
    fed = {f"seed_{k}": rng.uniform(-1, 1, s).astype(y.dtype) for k, s in shapes.items()}
    feeds = single(feeds_of(case)) | fed
    names = list(shapes)
    found = dict(zip(names, session.run([f"d_{name}" for name in names], feeds), strict=True))

    def pull(seed: np.ndarray) -> np.ndarray:
        whole = np.array(np.broadcast_to(seed, sizes), y.dtype)
        (dx,) = session.run(["d_full"], feeds | {"seed_full": whole})
        return np.broadcast_to(dx, feeds[case.x].shape)

    for name, shape in shapes.items():
        seed = feeds[f"seed_{name}"]
        several = len(shape) > len(sizes)
        want = np.stack([pull(part) for part in seed]) if several else pull(seed)
        assert found[name].ndim == want.ndim == len(outputs[name].shape), name
        try:
            assert_close(np.broadcast_to(found[name], want.shape), want, 2e-5)
        except AssertionError as error:
            raise AssertionError(f"seed '{name}' {seed.shape}: {error}") from None


def check_types(case: Case) -> None:
    """In float16 too, no operator is given types that it does not take; dx is float32."""
    e = Emitter(network_of(case, dtype=np.float16))
    seed = gs.Variable("seed", np.dtype(np.float32), list(e.network.tensors[case.y].shape))
    dx = differentiate(e, {case.y: seed}, [case.x])[case.x]
    assert dx.dtype == np.float32
    check_declared_shapes(e, complete(e, {"dx": dx}, [seed]))


def check_linear(case: Case, dynamic: tuple[int, ...] = (), exact: bool = True) -> None:
    """The gradient of an operator that is linear in its first input is its transpose.

    The operator's matrix is read off its action on every unit input, a batch of them. With whole
    numbers as weights all of it is exact.
    """
    sample = case.inputs[0][1:]
    count = int(np.prod(sample))
    units = np.eye(count, dtype=np.float32).reshape(count, *sample)
    case = replace(case, inputs=(Fed(units), *case.inputs[1:]))
    (columns,) = session_of(model_of(case)).run(["y0"], {"x0": units})
    e = Emitter(network_of(case, dynamic))
    y = e.network.tensors["y0"]
    seed = gs.Variable("seed", y.dtype, list(y.shape))
    dx = e.expand(differentiate(e, {"y0": seed}, ["x0"])["x0"], e.network.tensors["x0"])
    model = complete(e, {"dx": dx}, [seed])
    weights = np.random.default_rng(case_seed(case)).integers(-3, 4, columns.shape[1:])
    several = np.broadcast_to(weights, columns.shape).astype(np.float32)
    (got,) = session_of(model).run(["dx"], {"x0": units, "seed": several})
    want = np.tensordot(columns, weights, axes=weights.ndim).reshape(sample)
    if exact:
        np.testing.assert_array_equal(got, np.broadcast_to(want, units.shape))
    else:
        assert_close(got, np.broadcast_to(want, units.shape), 1e-5)


def _lazy_shapes(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape with one axis at a time of length 1, then with all of them."""
    long = [axis for axis, size in enumerate(sizes) if size != 1]
    one = [tuple(1 if a == axis else s for a, s in enumerate(sizes)) for axis in long]
    return [*one, (1,) * len(sizes)] if len(long) > 1 else one


def _declared(shape: tuple[int, ...], known: list[Any]) -> list[Any]:
    """A seed's shape with the primal's symbols where it is not lazy."""
    front = len(shape) - len(known)
    pairs = zip(shape[front:], known, strict=True)
    return [*shape[:front], *(1 if size == 1 else dim for size, dim in pairs)]


def check_declared_shapes(e: Emitter, model: onnx.ModelProto) -> None:
    """What the emitter believes of its tensors is what onnx infers."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, data_prop=True)
    types = {v.name: v.type.tensor_type for v in inferred.graph.value_info}
    for node in e.nodes:
        for tensor in node.outputs:
            kind = types.get(tensor.name)
            if kind is None or not kind.HasField("shape"):
                continue
            assert tensor.dtype == helper.tensor_dtype_to_np_dtype(kind.elem_type), tensor
            assert len(tensor.shape) == len(kind.shape.dim), tensor
            for declared, dim in zip(tensor.shape, kind.shape.dim, strict=True):
                if isinstance(declared, int) and dim.HasField("dim_value"):
                    assert declared == dim.dim_value, tensor


def checks(cases: Iterable[Case], one_in: int = 1) -> Any:
    """Parametrize a test of (check, case) over every check that each case takes.

    Where there are many that differ in little, one in so many is always run; the others are slow.
    """
    found: list[tuple[Any, Case, str]] = []
    for each in cases:
        found.append((_static, each, "static"))
        found.append((check_cotangents, each, "cotangents"))
        if _takes_half(each):
            found.append((check_types, each, "types"))
        for axes in each.dynamic:
            found.append((_along(axes), each, f"dynamic{''.join(map(str, axes))}"))
    params = [
        pytest.param(
            check,
            each,
            id=f"{each}-{name}",
            marks=[pytest.mark.slow] if number % one_in else [],
        )
        for number, (check, each, name) in enumerate(found)
    ]
    return pytest.mark.parametrize(("check", "case"), params)


def _takes_half(case: Case) -> bool:
    """Whether the operator itself knows float16."""
    schema = onnx.defs.get_schema(case.op, case.opset)
    return "tensor(float16)" in schema.inputs[min(case.wrt, len(schema.inputs) - 1)].types


def _static(case: Case) -> None:
    check_gradient(case)


def _along(axes: tuple[int, ...]) -> Callable[[Case], None]:
    def check(case: Case) -> None:
        check_gradient(case, axes)
        check_cotangents(case, axes)

    return check
