"""Fourier transforms."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import full
from onnxcam.autodiff.lowering import lowering
from onnxcam.autodiff.registry import vjp
from onnxcam.autodiff.rules.positions import positions, scalar_dim
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.graph.dims import Dim, Shape
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import describe, given


@vjp("DFT")
def dft(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
    """The same transform between two conjugations.

    The matrix of the transform is symmetric, and real and imaginary part being two real numbers,
    its transpose is its conjugate. Frequencies that a one-sided spectrum leaves out get nothing;
    those that its inverse completes by symmetry count twice.
    """
    x, y = node.inputs[0], node.outputs[0]
    axis = _axis(e, node)
    dy = full(e, dy, y, [axis, -1])
    inverse, onesided = node.attrs.get("inverse", 0), node.attrs.get("onesided", 0)
    shape: Shape = [*dy.shape[:-1], 2]
    length: gs.Tensor | None = None
    if onesided and not inverse:
        length = _length(e, node, axis)
        value = e.network.value(length)
        shape[axis] = None if value is None else int(value.ravel()[0])
    back = _transform(e, _conjugate(e, dy), axis, shape, length, inverse=inverse)
    if onesided and inverse:
        back = e.mul(back, _counts(e, back, axis))
    back = _fitted(e, back, x, axis)
    return e.slice(back, -1, 0, 1) if x.shape[-1] == 1 else _conjugate(e, back)


def _axis(e: Emitter, node: gs.Node) -> int:
    """The transformed axis, counted from the end."""
    rank = len(node.inputs[0].shape)
    if e.opset < 20:
        return int(node.attrs.get("axis", 1)) % rank - rank
    axis = given(node, 2)
    if axis is None:
        return -2
    value = e.network.value(axis)
    if value is None:
        raise UnsupportedOperatorError(
            f"{describe(node)} computes its axis at run time, which has no derivative here; "
            f"fold the model's constants first"
        )
    return int(value.ravel()[0]) % rank - rank


def _conjugate(e: Emitter, t: gs.Tensor) -> gs.Tensor:
    return t if t.shape[-1] == 1 else e.mul(t, e.constant([1, -1], t.dtype))


def _length(e: Emitter, node: gs.Node, axis: int) -> gs.Tensor:
    """The length of the transform, a scalar."""
    length = given(node, 1)
    return scalar_dim(e, node.inputs[0], axis) if length is None else length


def _transform(
    e: Emitter,
    t: gs.Tensor,
    axis: int,
    shape: Shape,
    length: gs.Tensor | None = None,
    **attrs: int,
) -> gs.Tensor:
    """A transform along a negative axis, of t's length unless another one is given."""
    given = [t] if length is None else [t, length]
    if e.opset < 20:
        return e.op("DFT", *given, shape=shape, axis=axis % len(shape), **attrs)
    if length is None:
        given.append(gs.Variable.empty())
    return e.op("DFT", *given, e.constant(axis, np.int64), shape=shape, **attrs)


def _counts(e: Emitter, spectrum: gs.Tensor, axis: int) -> gs.Tensor:
    """How often each frequency k of n counts in a real signal: 1 if 0 or n / 2, 2 between."""
    size = spectrum.shape[axis]
    if isinstance(size, int):
        twice = np.arange(size) * 2
        counts: gs.Tensor = e.constant(np.where(twice, 1 - np.sign(twice - size), 1), np.float32)
        counts = e.cast(counts, spectrum.dtype)
    else:
        number, at = scalar_dim(e, spectrum, axis), positions(e, spectrum, axis)
        apart = e.unary("Sign", e.sub(e.mul(at, 2), number))
        counts = e.cast(e.where(e.equal(at, 0), 1, e.sub(1, apart)), spectrum.dtype)
    return e.unsqueeze(counts, range(1, -axis))


def _fitted(e: Emitter, t: gs.Tensor, x: gs.Tensor, axis: int) -> gs.Tensor:
    """Cut, or padded with zeros, to x's length along an axis."""
    size, length = x.shape[axis], t.shape[axis]
    if size == length and size is not None:
        return t
    if isinstance(size, int) and isinstance(length, int):
        return e.pad(t, {axis: (0, size - length)})
    rank = len(t.shape)
    at = axis % rank
    none = e.ints(*[0] * (rank + at))
    pads = e.concat([none, e.dim(x, axis), e.ints(*[0] * (rank - at - 1))], -1)
    fill = e.constant(0, t.dtype)
    longer: Shape = [None if k == at else dim for k, dim in enumerate(t.shape)]
    padded = e.op("Pad", t, pads, fill, shape=longer, mode="constant")
    shape: Shape = [size if k == at else dim for k, dim in enumerate(t.shape)]
    return e.op("Slice", padded, e.ints(0), e.dim(x, axis), e.ints(at), shape=shape)


@lowering("STFT", wrt=(0, 2))
def stft(e: Emitter, node: gs.Node) -> gs.Tensor:
    """Frames gathered from the signal, times the window, transformed."""
    signal, step, window, length = [*node.inputs, *[gs.Variable.empty()] * 2][:4]
    shape = node.outputs[0].shape
    if window.name:
        size, count = window.shape[0], scalar_dim(e, window, 0)
    elif length.name:
        value = e.network.value(length)
        size, count = None if value is None else int(value.ravel()[0]), length
    else:
        size, count = signal.shape[1], scalar_dim(e, signal, 1)
    one = e.constant(1, np.int64)
    count, step = (e.cast(t, np.int64) for t in (count, step))
    last = e.sub(scalar_dim(e, signal, 1), count)
    starts = _range(e, e.add(last, one), step, shape[1])
    picked = e.add(e.unsqueeze(starts, [1]), _range(e, count, one, size))
    frames = e.op(
        "Gather", signal, picked, shape=[shape[0], shape[1], size, signal.shape[2]], axis=1
    )
    if window.name:
        frames = e.mul(frames, e.unsqueeze(window, [1]))
    return _transform(e, frames, -2, list(shape), onesided=node.attrs.get("onesided", 1))


def _range(e: Emitter, stop: gs.Tensor, step: gs.Tensor, size: Dim) -> gs.Tensor:
    """0, step, 2 step, ... below a scalar."""
    return e.op("Range", e.constant(0, np.int64), stop, step, shape=[size])
