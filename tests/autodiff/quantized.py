"""Gradients of quantised models against differences of the real numbers their integers stand for.

What a model computes between two tensors is taken without its rounding (`onnxcam.check.tail`).
That must give what ONNX Runtime's integer kernels give, up to a step of the quantisation, and its
differences must be the emitted gradient wherever nothing was rounded on the way in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autodiff.numeric import Arrays, session_of
from autodiff.programs import Program, assert_near, differences, outputs_of, program, pulled

from onnxcam.check.tail import tail_of
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network

IN, OUT = 1 / 64, 1 / 32
"""Scales of what goes in and comes out; powers of two, so that nothing is rounded by accident."""
HEAD = "float x_scale, {kind} x_zero, float y_scale, {kind} y_zero"
STORED = "x_scale x_zero y_scale y_zero"
ZEROS = {"uint8": (120, 130), "int8": (-5, 3)}


def grid(shape: tuple[int, ...], scale: float, low: int, high: int, seed: int = 0) -> np.ndarray:
    """Multiples of a scale but zero, which quantisation leaves as they are."""
    numbers = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    numbers = np.where(numbers == 0, 1, numbers)
    return (numbers * np.float32(scale)).astype(np.float32)


def around(
    shape: str,
    result: str,
    middle: str,
    more: str = "",
    kind: str = "uint8",
    room: int = 60,
    stored: str = "",
    out: float = OUT,
    first: str = "",
    opset: int = 18,
    **feeds: Any,
) -> Program:
    """x quantised, `middle` from q to r, r dequantised. `first` declares graph-level constants."""
    zeros = ZEROS[kind]
    head = HEAD.format(kind=kind) + (f", {more}" if more else "")
    text = f"""
    g (float[{shape}] x, {head}) => (float[{result}] y) {first} {{
      q = QuantizeLinear(x, x_scale, x_zero)
      {middle}
      y = DequantizeLinear(r, y_scale, y_zero)
    }}
    """
    dims = tuple(int(d) for d in shape.split(","))
    return program(
        text,
        "x",
        opset=opset,
        x=grid(dims, IN, -room, room),
        x_scale=IN,
        x_zero=zeros[0],
        y_scale=out,
        y_zero=zeros[1],
        stored=f"{STORED} {stored}",
        **feeds,
    )


def integers(*shape: int, low: int = -100, high: int = 100, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape)


def real_part(p: Program, start: str) -> Program:
    """What the model computes from a tensor on, in real numbers."""
    network = Network(p.model)
    tail = tail_of(network, start, p.of)
    recorded = [tail.start, *tail.boundary]
    names = [f"seen_{t.name}" for t in recorded]
    model = merge(Emitter(network), dict(zip(names, recorded, strict=True)))
    values = session_of(model).run(names, p.feeds)
    feeds: Arrays = {t.name: v for t, v in zip(recorded, values, strict=True)}
    model = tail.model(feeds)
    read = {value.name for value in model.graph.input}
    return Program(model, {k: v for k, v in feeds.items() if k in read}, (start,), p.of)


def check_quantized(p: Program, step: float, tolerance: float = 1e-3) -> None:
    """`step` is how far the last rounding may move the output."""
    y = outputs_of(p)
    weights = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(np.float32)
    got = pulled(p, weights)
    for name in p.wrt:
        real = real_part(p, name)
        np.testing.assert_allclose(y, outputs_of(real), atol=step * 1.001 + 1e-6, rtol=0)
        want = differences(real, weights)[name]
        trusted = np.isfinite(want)
        assert trusted.mean() > 0.7
        assert np.any(want[trusted] != 0), name
        assert_near(got[name][trusted], want[trusted], tolerance, name)


def cosine(a: Any, b: Any) -> float:
    a, b = np.ravel(a).astype(np.float64), np.ravel(b).astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
