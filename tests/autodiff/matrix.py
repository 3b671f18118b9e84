"""The matrix of windows: every convolution and pooling against ONNX Runtime's own kernel.

A convolution or an average is linear in its input: its gradient is the transpose of the matrix
that ONNX Runtime's answers to all unit inputs are, and with whole numbers as weights all of it is
exact. A convolution is linear in its weights too, <dy, y(v)> = <dw, v> for any weights v. A
maximum of distinct values says itself where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from autodiff.numeric import Case, Fed, case, case_seed, complete, model_of, network_of, session_of

from onnxcam.autodiff import differentiate
from onnxcam.graph.emitter import Emitter

KERNELS, STRIDES, DILATIONS = range(1, 8), range(1, 5), (1, 2)
PADDINGS = ("VALID", "SAME_UPPER", "SAME_LOWER", "symmetric", "asymmetric", "large")
GROUPS = {"dense": (1, 2, 3), "grouped": (2, 4, 6), "depthwise": (3, 3, 3), "multiplied": (2, 2, 4)}
"""Groups, channels in, channels out."""
BATCH = 2


@dataclass
class Outcome:
    """What became of one node: how many gradients were right, and which were not."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: str | None = None


def outcome(each: Case) -> Outcome:
    """Try a node with a static shape, with a dynamic batch and with dynamic sizes."""
    found = Outcome()
    check = _check_maximum if each.op == "MaxPool" else _check_linear
    try:
        compare = check(each)
    except Exception as error:  # whatever ONNX Runtime says against the node itself
        found.refused = _reason(error)
        return found
    for dynamic in ((), (0,), (0, *range(2, len(each.inputs[0])))):
        try:
            wrong = compare(dynamic)
            count = 2 if len(each.inputs) > 1 else 1
        except Exception as error:
            wrong, count = [f"{type(error).__name__}: {str(error)[:200]}"], 1
        found.right += count - len(wrong)
        found.wrong += [f"{each} {dynamic} {what}" for what in wrong]
    return found


def _reason(error: Exception) -> str:
    """An error of ONNX Runtime without the names and numbers of the case."""
    text = " ".join(str(error).split())
    text = re.sub(r"^.*(Status Message:|ShapeInferenceError\]|: FAIL :|was false\.)\s*", "", text)
    return re.sub(r"-?\d+", "#", text)[:100]


Compare = Callable[[tuple[int, ...]], list[str]]


def _check_linear(each: Case) -> Compare:
    """What compares the gradients of a node that is linear in all its inputs."""
    rng = np.random.default_rng(case_seed(each))
    sample = each.inputs[0][1:]
    count = int(np.prod(sample))
    units = np.eye(count, dtype=np.float32).reshape(count, *sample)
    columns = _forward(each, units)
    x = rng.integers(-3, 4, (BATCH, *sample)).astype(np.float32)
    dy = rng.integers(-3, 4, (BATCH, *columns.shape[1:])).astype(np.float32)
    axes = dy.ndim - 1
    want = np.stack([np.tensordot(columns, part, axes).reshape(sample) for part in dy])
    trials = []
    for w in each.inputs[1:]:
        for _ in range(3):
            v = rng.integers(-50, 51, w.shape).astype(np.float32)
            y = _forward(replace(each, inputs=(each.inputs[0], v)), x)
            trials.append((v, float((y * dy).sum(dtype=np.float64))))

    def compare(dynamic: tuple[int, ...]) -> list[str]:
        found = _gradients(each, x, dy, dynamic)
        tolerance = 0 if trials else 1e-5  # averages divide
        wrong = [] if np.allclose(found["x0"], want, tolerance, tolerance) else ["dx"]
        if any((found["x1"].astype(np.float64) * v).sum() != product for v, product in trials):
            wrong.append("dw")
        return wrong

    return compare


def _check_maximum(each: Case) -> Compare:
    rng = np.random.default_rng(case_seed(each))
    shape = (BATCH, *each.inputs[0][1:])
    x = rng.permutation(int(np.prod(shape))).astype(np.float32).reshape(shape)
    y = _forward(each, x)
    dy = rng.integers(-3, 4, y.shape).astype(np.float32)
    want = np.zeros(x.size)
    np.add.at(want, np.argsort(x.ravel())[y.astype(int).ravel()], dy.ravel())

    def compare(dynamic: tuple[int, ...]) -> list[str]:
        found = _gradients(each, x, dy, dynamic)
        return [] if np.array_equal(found["x0"], want.reshape(shape)) else ["dx"]

    return compare


def _forward(each: Case, x: np.ndarray) -> np.ndarray:
    """What ONNX Runtime computes for an input."""
    fed = replace(each, inputs=(Fed(x), *each.inputs[1:]))
    (y,) = session_of(model_of(fed)).run(["y0"], {"x0": x})
    if not y.size:
        raise ValueError("an output without elements")
    return np.asarray(y)


def _gradients(
    each: Case, x: np.ndarray, dy: np.ndarray, dynamic: tuple[int, ...]
) -> Mapping[str, np.ndarray]:
    """The emitted gradients, with respect to the input and to the stored weights."""
    fed = replace(each, inputs=(Fed(x.astype(np.float64)), *each.inputs[1:]))
    e = Emitter(network_of(fed, dynamic))
    y = e.network.tensors["y0"]
    seed = gs.Variable("seed", y.dtype, [None] * dy.ndim if dynamic else list(dy.shape))
    seed.shape = [d if d is not None else s for d, s in zip(seed.shape, y.shape, strict=True)]
    wrt = ["x0", "x1"][: len(each.inputs)]
    found = differentiate(e, {"y0": seed}, wrt)
    outputs = {f"d{name}": e.expand(found[name], e.network.tensors[name]) for name in wrt}
    session = session_of(complete(e, outputs, [seed]))
    return dict(zip(wrt, session.run(list(outputs), {"x0": x, "seed": dy}), strict=True))


# -- the axes ---------------------------------------------------------------------------------


def _padding(kind: str, extent: int, rank: int) -> dict[str, Any]:
    """`large` is more than the window reaches."""
    if kind.isupper():
        return {"auto_pad": kind}
    begin, end = {
        "symmetric": (extent // 2, extent // 2),
        "asymmetric": (extent // 3, (extent + 1) // 2),
        "large": (extent + 1, extent),
    }[kind]
    return {"pads": [begin] * rank + [end] * rank}


def _windows() -> Iterator[tuple[int, int, int, str]]:
    yield from product(KERNELS, STRIDES, DILATIONS, PADDINGS)


def _attributes(rank: int, stride: int, dilation: int, extent: int, pad: str) -> dict[str, Any]:
    return {
        "strides": [stride] * rank,
        "dilations": [dilation] * rank,
        **_padding(pad, extent, rank),
    }


def _whole(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(-3, 4, shape).astype(float)


SIZES = {1: [(13,), (16,)], 2: [(7, 9), (13, 14), (16, 15)], 3: [(5, 6, 4)]}


def convolutions() -> Iterator[Case]:
    for rank, sizes in SIZES.items():
        for (k, s, d, pad), group, size in product(_windows(), GROUPS.values(), sizes):
            if rank == 3 and k > 3:
                continue
            count, c_in, c_out = group
            yield case(
                "Conv",
                (1, c_in, *size),
                _whole(c_out, c_in // count, *[k] * rank),
                group=count,
                **_attributes(rank, s, d, d * (k - 1) + 1, pad),
            )


TRANSPOSED_SIZES = {1: [(5,), (6,)], 2: [(3, 5), (6, 4)], 3: [(2, 3, 2)]}


def transposed_convolutions() -> Iterator[Case]:
    for rank, sizes in TRANSPOSED_SIZES.items():
        for (k, s, d, pad), group, size in product(_windows(), GROUPS.values(), sizes):
            if rank == 3 and k > 3:
                continue
            for more in _of_transposed(rank, size, s, d, d * (k - 1) + 1):
                count, c_in, c_out = group
                yield case(
                    "ConvTranspose",
                    (1, c_in, *size),
                    _whole(c_in, c_out // count, *[k] * rank),
                    group=count,
                    **_attributes(rank, s, d, d * (k - 1) + 1, pad),
                    **more,
                )


def _of_transposed(
    rank: int, size: tuple[int, ...], stride: int, dilation: int, extent: int
) -> Iterator[dict[str, Any]]:
    """Nothing, `output_padding` from 1 to what is allowed, `output_shape` of 0 to 3 less."""
    yield {}
    for extra in range(1, max(stride, dilation)):
        yield {"output_padding": [extra] * rank}
    if rank == 2:
        for less in range(4):
            yield {"output_shape": [(n - 1) * stride + extent - less for n in size]}


def maxima() -> Iterator[Case]:
    for rank, sizes in SIZES.items():
        for (k, s, d, pad), size, ceil in product(_windows(), sizes, (0, 1)):
            if rank == 3 and k > 3:
                continue
            attributes = _attributes(rank, s, d, d * (k - 1) + 1, pad)
            shape, kernel = (1, 1, *size), [k] * rank
            yield case("MaxPool", shape, kernel_shape=kernel, ceil_mode=ceil, **attributes)


def averages() -> Iterator[Case]:
    for rank, sizes in SIZES.items():
        for (k, s, d, pad), size, ceil in product(_windows(), sizes, (0, 1)):
            if rank == 3 and k > 3:
                continue
            for include in (0, 1):
                attributes = _attributes(rank, s, d, d * (k - 1) + 1, pad)
                if d == 1:  # an attribute from opset 19 on
                    del attributes["dilations"]
                yield case(
                    "AveragePool",
                    (1, 1, *size),
                    kernel_shape=[k] * rank,
                    ceil_mode=ceil,
                    count_include_pad=include,
                    opset=19 if d > 1 else 18,
                    **attributes,
                )


MATRICES: Mapping[str, Callable[[], Iterator[Case]]] = {
    "Conv": convolutions,
    "ConvTranspose": transposed_convolutions,
    "MaxPool": maxima,
    "AveragePool": averages,
}
