"""Emitted gradients against the kernels of ONNX Runtime, for operators that only it knows.

A `Kernel` is one node. ONNX Runtime says what it computes; central differences of that, in
float32, say what its gradient is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from autodiff.numeric import Arrays, complete, session_of, spread_values
from onnx import helper, numpy_helper

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import derivative_of
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

STEPS = (1e-2, 2e-3)
TOLERANCE = 2e-3
SMOOTH = 0.7
"""Differences of two step sizes have to agree at so many positions at least: the others are at a
kink, or too steep for float32."""
TARGETS = 2


@dataclass(frozen=True, eq=False)
class Kernel:
    """One node of the domain, differentiated from its outputs `of` to its inputs `wrt`.

    `formula` computes in NumPy what has a kernel on other devices only.
    An input is a shape (random values, fed), an array (stored) or None (left out). `exact` says
    that what the lowering emits can be run beside the kernel.
    """

    op: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    wrt: tuple[int, ...] = (0,)
    of: tuple[int, ...] = (0,)
    outputs: int = 1
    opset: int = 20
    domain: str = "com.microsoft"
    low: float = -1.0
    high: float = 1.0
    dynamic: bool = True
    exact: bool = True
    formula: Callable[..., Sequence[np.ndarray]] | None = None

    def __str__(self) -> str:
        shapes = "_".join("x".join(map(str, _shape(i))) for i in self.inputs)
        attrs = "".join(f"-{k}={v}".replace(" ", "") for k, v in self.attrs.items())
        return f"{self.op}-{shapes}{attrs}"


def kernel(op: str, *inputs: Any, **given: Any) -> Kernel:
    """A kernel; what is no field of it is an attribute of the node."""
    own = {key: given.pop(key) for key in list(given) if key in Kernel.__dataclass_fields__}
    return Kernel(op, inputs, given, **own)


def _shape(given: Any) -> tuple[int, ...]:
    return () if given is None else given if isinstance(given, tuple) else given.shape


def feeds_of(kernel: Kernel) -> dict[str, np.ndarray]:
    seed = zlib.crc32(str(kernel).encode())
    return {
        f"x{k}": spread_values(shape, kernel.low, kernel.high, seed + k).astype(np.float32)
        for k, shape in enumerate(kernel.inputs)
        if isinstance(shape, tuple)
    }


def model_of(kernel: Kernel, dynamic: bool = False) -> onnx.ModelProto:
    """The one-node model; with `dynamic` the batch is a symbol.

    That is the first axis of what is fed, where it is as long as that of the first.
    """
    feeds = feeds_of(kernel)
    batch = next(iter(feeds.values())).shape[0] if dynamic else None
    inputs = [
        helper.make_tensor_value_info(
            name,
            onnx.TensorProto.FLOAT,
            ["batch" if axis == 0 and d == batch else d for axis, d in enumerate(x.shape)],
        )
        for name, x in feeds.items()
    ]
    stored = [
        numpy_helper.from_array(given, f"x{k}")
        for k, given in enumerate(kernel.inputs)
        if isinstance(given, np.ndarray)
    ]
    names = ["" if given is None else f"x{k}" for k, given in enumerate(kernel.inputs)]
    made = [f"y{k}" if k in kernel.of else "" for k in range(kernel.outputs)]
    node = helper.make_node(kernel.op, names, made, domain=kernel.domain, **kernel.attrs)
    outputs = [helper.make_empty_tensor_value_info(name) for name in made if name]
    for output in outputs:
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    graph = helper.make_graph([node], "kernel", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", kernel.opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def forward_of(kernel: Kernel) -> Callable[[Arrays], Arrays]:
    """Feeds to outputs, by name: the kernel, or the formula in NumPy that stands in for it."""
    names = [f"y{k}" for k in kernel.of]
    if kernel.formula is not None:
        formula = kernel.formula
        stored = {f"x{k}": v for k, v in enumerate(kernel.inputs) if isinstance(v, np.ndarray)}

        def computed(feeds: Arrays) -> Arrays:
            known = feeds | stored
            values = formula(*(known.get(f"x{k}") for k in range(len(kernel.inputs))))
            return {name: y.astype(np.float32) for name, y in zip(names, values, strict=True)}

        return computed
    session = session_of(model_of(kernel))
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def outputs_of(kernel: Kernel) -> Arrays:
    return forward_of(kernel)(feeds_of(kernel))


def run(kernel: Kernel, model: onnx.ModelProto, names: list[str], feeds: Arrays) -> Arrays:
    """Run a completed model; where there is no kernel for its node, fed what that would make."""
    if kernel.formula is not None:
        made = outputs_of(kernel)
        rest = [node for node in model.graph.node if node.op_type != kernel.op]
        assert len(rest) + 1 == len(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend(rest)
        kept = [value for value in model.graph.output if value.name not in made]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        read = {name for node in rest for name in node.input}
        for name in sorted(read & set(made)):
            kind = onnx.TensorProto.FLOAT
            value = helper.make_tensor_value_info(name, kind, made[name].shape)
            model.graph.input.append(value)
            feeds = feeds | {name: made[name]}
    return dict(zip(names, session_of(model).run(names, feeds), strict=True))


def _weights(kernel: Kernel, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(zlib.crc32(str(kernel).encode()))
    return {name: rng.uniform(-1, 1, y.shape).astype(np.float32) for name, y in outputs.items()}


def difference_gradient(
    kernel: Kernel, weights: dict[str, np.ndarray], name: str, step: float
) -> np.ndarray:
    """Central differences of the weighted sum of the outputs, with respect to one input."""
    forward, feeds = forward_of(kernel), feeds_of(kernel)
    gradient = np.zeros(feeds[name].shape)
    for index in np.ndindex(*gradient.shape):
        ends = []
        for sign in (step, -step):
            moved = feeds[name].copy()
            moved[index] += sign
            made = forward(feeds | {name: moved})
            ends.append(sum(float((weights[n] * np.float64(y)).sum()) for n, y in made.items()))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def check_gradients(kernel: Kernel, dynamic: bool) -> None:
    """Every gradient agrees with differences of the kernel; shapes are what was believed."""
    outputs = outputs_of(kernel)
    weights = _weights(kernel, outputs)
    e = Emitter(Network(model_of(kernel, dynamic)))
    for name, y in outputs.items():
        declared = e.network.tensors[name].shape
        pairs = zip(declared, y.shape, strict=True)
        assert all(not isinstance(d, int) or d == size for d, size in pairs), (declared, y.shape)
    seeds = {
        n: gs.Variable(f"seed_{n}", np.float32, list(e.network.tensors[n].shape)) for n in outputs
    }
    sources = [f"x{k}" for k in kernel.wrt]
    found = differentiate(e, seeds, sources)
    named = {f"d_{n}": e.expand(found[n], e.network.tensors[n]) for n in sources}
    feeds = feeds_of(kernel) | {f"seed_{n}": w for n, w in weights.items()}
    values = run(kernel, complete(e, named, list(seeds.values())), list(named), feeds)
    got = dict(zip(sources, values.values(), strict=True))
    for name in sources:
        rough, want = (difference_gradient(kernel, weights, name, step) for step in STEPS)
        assert got[name].shape == want.shape, name
        scale = max(1.0, float(np.abs(want).max()))
        trusted = np.abs(rough - want) <= TOLERANCE * scale
        assert trusted.mean() >= SMOOTH, name
        wrong = np.abs(got[name] - want)[trusted]
        np.testing.assert_array_less(wrong, TOLERANCE * scale, err_msg=name)


def check_cotangents(kernel: Kernel, dynamic: bool) -> None:
    """Several targets at once, and lazy ones, are so many single dense ones."""
    y = outputs_of(kernel)[f"y{kernel.of[0]}"]
    weights = np.random.default_rng(1).uniform(-1, 1, (TARGETS, *y.shape)).astype(np.float32)
    short = [tuple(1 if a == axis else d for a, d in enumerate(y.shape)) for axis in range(y.ndim)]
    for shape in ((TARGETS, *y.shape), *short, *((TARGETS, *s) for s in short)):
        part = weights[tuple(slice(0, d) for d in (TARGETS, *shape)[-y.ndim - 1 :])]
        seed = part.reshape(shape) if len(shape) > y.ndim else part[0]
        got = _pulled(kernel, dynamic, seed)
        if len(shape) > y.ndim:
            want = [_pulled(kernel, dynamic, np.broadcast_to(s, y.shape).copy()) for s in seed]
            want = {name: np.stack([each[name] for each in want]) for name in got}
        else:
            want = _pulled(kernel, dynamic, np.broadcast_to(seed, y.shape).copy())
        for name, dx in want.items():
            scale = max(1.0, float(np.abs(dx).max()))
            wide = np.broadcast_to(got[name], dx.shape)
            np.testing.assert_allclose(wide, dx, atol=2e-5 * scale, err_msg=f"{name} {shape}")


def _pulled(kernel: Kernel, dynamic: bool, seed: np.ndarray) -> dict[str, np.ndarray]:
    """Gradients of the first output, expanded to the inputs' shapes."""
    e = Emitter(Network(model_of(kernel, dynamic)))
    name = f"y{kernel.of[0]}"
    known = e.network.tensors[name].shape
    front = seed.ndim - len(known)
    dims = [1 if s == 1 else d for s, d in zip(seed.shape[front:], known, strict=True)]
    fed = gs.Variable("seed", np.float32, [*seed.shape[:front], *dims])
    sources = [f"x{k}" for k in kernel.wrt]
    found = differentiate(e, {name: fed}, sources)
    named = {f"d_{n}": e.expand(found[n], e.network.tensors[n]) for n in found}
    feeds = feeds_of(kernel) | {"seed": seed}
    values = run(kernel, complete(e, named, [fed]), list(named), feeds)
    return dict(zip(found, values.values(), strict=True))


def check_lowering(kernel: Kernel) -> None:
    """What the lowering emits computes what the kernel computes."""
    e = Emitter(Network(model_of(kernel)))
    node = e.network.graph.nodes[-1]
    derivative = derivative_of(node)
    assert isinstance(derivative, Lowering)
    made = derivative.lower(e, node)
    tensors = [made] if isinstance(made, gs.Tensor) else list(made)
    named = {f"lowered{k}": tensors[k] for k in kernel.of}
    got = run(kernel, complete(e, named, []), list(named), feeds_of(kernel))
    for value, want in zip(got.values(), outputs_of(kernel).values(), strict=True):
        scale = max(1.0, float(np.abs(want).max()))
        np.testing.assert_allclose(value, want, atol=2e-5 * scale)
