"""Gradients of quantised models against differences of the real numbers their integers stand for.

What a model computes between two tensors is taken without its rounding (`onnxcam.check.tail`).
That must give what ONNX Runtime's integer kernels give, up to a step of the quantisation, and its
differences must be the emitted gradient wherever nothing was rounded on the way in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autodiff.numeric import Arrays, session_of
from autodiff.programs import Program, assert_near, differences, outputs_of, pulled

from onnxcam.check.tail import tail_of
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network


def grid(shape: tuple[int, ...], scale: float, low: int, high: int, seed: int = 0) -> np.ndarray:
    """Multiples of a scale but zero, which quantisation leaves as they are."""
    numbers = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    numbers = np.where(numbers == 0, 1, numbers)
    return (numbers * np.float32(scale)).astype(np.float32)


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
