"""The emitted gradient of a model, measured against finite differences of its tail."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from onnxcam.autodiff import cotangent_dtype, differentiate
from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.check.differences import DOUBLE, HALF, SINGLE, Direction, Precision, Score, compare
from onnxcam.check.double import evaluator, is_quick
from onnxcam.check.subject import Subject
from onnxcam.check.tail import Tail, tail_of
from onnxcam.errors import ExecutionError, ModelError
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.merge import merge
from onnxcam.graph.network import is_float
from onnxcam.providers import Providers
from onnxcam.runtime import Runner
from onnxcam.targets import CLASS_INPUT, Classes

_JITTER = 0.1
_SAME_SCORE = 1e-3
_PATIENCE = 2.0
"""Seconds that one evaluation in float64 may take."""
_SHIFT, _WEIGHTS = "check_shift", "check_weights"
_GRADIENT, _SEEN = "check_gradient", "check_seen_"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """`precision` is that of the differences, `tolerance` what the comparison may show.

    `provider` computed the gradient, by ONNX Runtime's name.
    `agreement` is the cosine between the gradient of a quantised model and that of the model it
    stands for, which the differences are taken of; None for any other model.
    """

    directions: Sequence[Direction]
    precision: str
    tolerance: float
    agreement: float | None
    provider: str


def measure(subject: Subject, providers: Providers = None) -> Measured:
    """The gradient as the providers compute it, against differences.

    Those are taken on them too, where float64 is not possible. Raises `UnsupportedOperatorError`
    where the model does not differentiate.
    """
    network, start = subject.network, subject.start
    tail = tail_of(network, start.name, subject.score.name)
    recorded = [start, subject.score, *tail.boundary]
    plain = Runner(merge(Emitter(network), {_SEEN + t.name: t for t in recorded}), providers)
    seen = _seen(plain, subject)
    for tensor in (start, subject.score):
        if not seen[tensor.name].size:
            raise ModelError(f"'{tensor.name}' has no elements, so there is nothing to compare")
    weights, feeds = _weights(subject, seen[subject.score.name])
    rewritten = _rewritten(subject, recorded)
    # Exact ties (the zeros behind a ReLU, pooled) have no derivative: measure beside them.
    jitter = _jitter(seen[start.name])
    if is_float(start):
        rewritten = _shifted(rewritten, start.name, seen[start.name])
        feeds[_SHIFT] = jitter.astype(seen[start.name].dtype)
    outputs = Runner(rewritten, providers).run(feeds)
    gradient = outputs[_GRADIENT]
    seen = {t.name: _real(outputs[_SEEN + t.name]) for t in recorded}
    del seen[subject.score.name]
    if not is_float(start):
        seen[start.name] = seen[start.name].astype(np.float32)
    model = tail.model(seen)
    seen = {value.name: seen[value.name] for value in model.graph.input}
    at, agreement = seen[start.name].astype(np.float64), None
    score, precision = _scored(Runner(model, providers), model, tail, seen, weights)
    if tail.dequantized:
        graph = append_gradients(model, tail.score.name, [start.name], seed=True)
        backward = Runner(graph, providers)
        fed = seen | {f"{tail.score.name}_seed": weights.astype(np.float32)}
        output = f"{start.name}_grad"
        agreement = _cosine(gradient, backward.run(fed)[output])
        at = at if is_float(start) else at + jitter
        gradient = backward.run(fed | {start.name: at.astype(np.float32)})[output]
    tolerance = HALF.tolerance if _has_half(tail) else precision.tolerance
    directions = compare(score, at, gradient, precision)
    return Measured(directions, precision.name, tolerance, agreement, plain.provider)


def _seen(runner: Runner, subject: Subject) -> Arrays:
    """The recorded tensors of one run, by their own names."""
    try:
        outputs = runner.run(subject.feeds)
    except ExecutionError as error:
        if subject.open_size is None:
            raise
        height, width = subject.open_size
        raise ExecutionError(
            f"{error}; the model leaves the picture's size open and {height} x {width} was tried: "
            f'name one that it takes, --preprocess size.json with {{"size": [height, width]}}'
        ) from None
    return {k.removeprefix(_SEEN): v for k, v in outputs.items() if k.startswith(_SEEN)}


def _weights(subject: Subject, score: np.ndarray) -> tuple[np.ndarray, Arrays]:
    """What each element of the score counts, and the feeds that make the model count so."""
    if subject.head is None:
        weights = np.random.default_rng(1).standard_normal(score.shape)
        return weights, subject.feeds | {_WEIGHTS: weights.astype(cotangent_dtype(subject.score))}
    best = score.reshape(score.shape[:2]).astype(np.float64).argmax(1)[:, None]
    weights = np.zeros(score.shape)
    np.put_along_axis(weights.reshape(score.shape[:2]), best, 1, 1)
    chosen = best + 1 if subject.head.is_binary else best  # its class 1 is what its unit speaks for
    return weights, subject.feeds | {CLASS_INPUT: chosen}


def _rewritten(subject: Subject, recorded: Sequence[gs.Tensor]) -> onnx.ModelProto:
    e = Emitter(subject.network)
    inputs: list[gs.Variable] = []
    defaults: dict[str, np.ndarray] = {}
    seeds: Mapping[str, Cotangent]
    if subject.head is None:
        dtype = cotangent_dtype(subject.score)
        inputs.append(gs.Variable(_WEIGHTS, dtype, list(subject.score.shape)))
        seeds = {subject.score.name: inputs[0]}
    else:
        explained = Classes().emit(e)
        for choice in explained.choices:
            inputs.append(choice.variable)
            defaults[choice.variable.name] = choice.default
        seeds = explained.seeds
    found = differentiate(e, seeds, [subject.start.name])
    if subject.start.name not in found:
        raise ModelError(f"'{subject.score.name}' does not depend on '{subject.start.name}'")
    gradient = e.expand(found[subject.start.name], subject.start)
    outputs = {_GRADIENT: gradient} | {_SEEN + t.name: t for t in recorded}
    return merge(e, outputs, inputs, defaults)


def _jitter(x: np.ndarray) -> np.ndarray:
    scale = float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) or 1.0
    return _JITTER * scale * np.random.default_rng(0).standard_normal(x.shape)


def _shifted(model: onnx.ModelProto, start: str, like: np.ndarray) -> onnx.ModelProto:
    """The model with a new input added to a tensor, seen by all that use it."""
    moved = f"onnxcam/shifted/{start}"
    _read_instead(model.graph, start, moved)
    add = onnx.helper.make_node("Add", [start, _SHIFT], [moved])
    made_at = [i for i, node in enumerate(model.graph.node) if start in node.output]
    model.graph.node.insert(made_at[0] + 1 if made_at else 0, add)
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(like.dtype)
    model.graph.input.append(onnx.helper.make_tensor_value_info(_SHIFT, elem_type, like.shape))
    return model


def _read_instead(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let all nodes, those in bodies too, read one tensor in place of another."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            body = attribute.g
            if old in {name for inner in body.node for name in inner.output}:
                continue  # which hides the one outside
            _read_instead(body, old, new)
            for value in body.output:
                value.name = new if value.name == old else value.name


def _real(value: np.ndarray) -> np.ndarray:
    """Half-precision floats in float32."""
    narrow = value.dtype.kind in "fV" and value.dtype not in (np.float32, np.float64)
    return value.astype(np.float32) if narrow else value


def _scored(
    runner: Runner, model: onnx.ModelProto, tail: Tail, seen: Arrays, weights: np.ndarray
) -> tuple[Score, Precision]:
    """The weighted score as a function of the tail's start, in float64 where that is possible."""
    name, start = tail.score.name, tail.start.name

    def single(x: np.ndarray) -> float:
        y = runner.run(seen | {start: x.astype(seen[start].dtype)})[name]
        return float(np.sum(y.astype(np.float64) * weights))

    if not is_quick(model):
        return single, SINGLE
    wide = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in seen.items()}
    began = time.monotonic()
    try:
        reference = evaluator(model)
        found = _first(reference, wide)
    except Exception:  # an operator's Python may raise anything; the runtime knows them all
        return single, SINGLE
    if time.monotonic() - began > _PATIENCE:  # dozens of evaluations are to come
        return single, SINGLE
    expected = runner.run(seen)[name]
    if found.shape != expected.shape or _distance(found, expected) > _SAME_SCORE:
        return single, SINGLE

    def double(x: np.ndarray) -> float:
        return float(np.sum(_first(reference, wide | {start: x}) * weights))

    return double, DOUBLE


def _first(reference: ReferenceEvaluator, feeds: Arrays) -> np.ndarray:
    (found,) = reference.run(None, feeds)
    return np.asarray(found)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1.0))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / ((np.linalg.norm(a) * np.linalg.norm(b)) or 1.0))


def _has_half(tail: Tail) -> bool:
    tensors = (t for node in tail.nodes for t in (*node.inputs, *node.outputs))
    return any(is_float(t) and t.dtype not in (np.float32, np.float64) for t in tensors)
