"""One backend test's gradient against differences, input by input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import onnx
from autodiff.backend_cases import BackendTest
from autodiff.numeric import NEWEST
from autodiff.oracle import (
    Arrays,
    Oracle,
    Slope,
    directions,
    oracles,
    points,
    same_outputs,
    slopes,
    weights_for,
)
from autodiff.rewriting import (
    loads,
    with_gradient,
    with_stored_integers,
    with_symbolic_axis,
)
from autodiff.running import (
    Run,
    has_bfloat16,
    has_half,
    in_both,
    in_reference,
    in_runtime,
    in_runtime_at_newest,
)

from onnxcam.errors import OnnxCamError


class Kind(Enum):
    """What became of a test, or of one of its inputs."""

    COMPARED = "compared"
    ZERO = "derivative zero, as the differences say"
    NO_FLOAT = "no float input, or no float output"
    DOMAIN = "an operator of training or of classical machine learning"
    REFUSED = "refused by onnxcam"
    NO_REFERENCE = "nothing to compare with"
    WRONG = "disagrees"


@dataclass(frozen=True)
class Finding:
    """What became of one input of a test."""

    wrt: str
    kind: Kind
    note: str = ""


_LARGE = 2000
_MANY_OUTPUTS = 1000
"""From here on the reference evaluator, which loops in Python over windows, is asked last."""

_DRAWS = 4
"""How often a runtime is asked again, to see whether it draws at random."""

_RUNTIME, _OLDER = "ONNX Runtime", f"ONNX Runtime at opset {NEWEST}"
_BOTH, _REFERENCE = "ONNX Runtime behind a reference forward pass", "reference"
_RUNNERS: dict[str, Callable[[onnx.ModelProto], Run]] = {
    _RUNTIME: in_runtime,
    _OLDER: in_runtime_at_newest,
    _BOTH: in_both,
    _REFERENCE: in_reference,
}


class Comparison:
    """One test's gradient, run by whatever runs its model, and the differences."""

    def __init__(self, test: BackendTest, sources: Sequence[str], targets: Sequence[str]) -> None:
        self.test = test
        self.sources, self.targets = list(sources), list(targets)
        arrays = [*test.feeds.values(), *test.outputs.values()]
        self.precision = 2e-2 if has_bfloat16(arrays) else 4e-3 if has_half(arrays) else 1e-4
        self._candidates = oracles(test.model, self.targets)
        self._usable: list[Oracle] = []
        self._slow: list[Oracle] = []
        self._notes: list[str] = []
        self._right: dict[str, tuple[onnx.ModelProto, Point, np.ndarray]] = {}
        self.outputs = [test.outputs[name] for name in self.targets]
        self.runner = self._runner()

    def _runner(self) -> str:
        """What runs the test's own model; its outputs are what an oracle has to give, too."""
        for name, run in (_RUNTIME, in_runtime), (_OLDER, in_runtime_at_newest):
            try:
                running = run(self.test.model)
                found = running(self.targets, self.test.feeds)
            except Exception:  # an operator, a type or values that it does not take
                continue
            if same_outputs(found, self.outputs, self.precision):
                return name
            repeated = all(
                same_outputs(running(self.targets, self.test.feeds), found, 0)
                for _ in range(_DRAWS)
            )
            if name == _RUNTIME and repeated and all(np.isfinite(y).all() for y in found):
                self.outputs = found  # it computes something else, but this is what users get
                return name
        return _BOTH

    def findings(self) -> list[Finding]:
        """One for each source: of all at once, or one by one where one of them is refused."""
        try:
            run = self._running(with_gradient(self.test.model, self.targets, self.sources))
            return [self._compared(wrt, self.test.model, run) for wrt in self.sources]
        except OnnxCamError:
            return [self._finding(wrt) for wrt in self.sources]

    def _finding(self, wrt: str) -> Finding:
        stored = with_stored_integers(self.test.model, self.test.feeds)
        for model, note in (self.test.model, ""), (stored, "integers stored"):
            if note and self.runner == _RUNTIME and not loads(model):
                break
            try:
                rewritten = with_gradient(model, self.targets, [wrt])
            except OnnxCamError as error:
                if "does not depend differentiably" in str(error):
                    return self._zero(wrt)
                if error.__cause__ is not None:
                    return Finding(wrt, Kind.WRONG, f"{error.__cause__!r} inside a rule")
                refusal = str(error)
                continue
            found = self._compared(wrt, model, self._running(rewritten))
            return replace(found, note=", ".join(filter(None, [found.note, note])))
        return Finding(wrt, Kind.REFUSED, refusal)

    def _zero(self, wrt: str) -> Finding:
        point = self._smooth_point(wrt)
        if point is None:
            return Finding(wrt, Kind.NO_REFERENCE, "; ".join(self._notes))
        steepest = max(abs(slope.value) for slope in point.slopes)
        if steepest > 1e-3:
            return Finding(wrt, Kind.WRONG, f"said to be zero, but it is {steepest:.3g}")
        return Finding(wrt, Kind.ZERO, point.note)

    def gradient(self, wrt: str) -> tuple[np.ndarray, Point]:
        """A gradient that has been found right, and where."""
        _, point, got = self._right[wrt]
        return got, point

    def symbolic(self) -> list[Finding]:
        """Findings of what has been compared, the length of its first axis being a symbol.

        What ONNX Runtime itself does not load then is left out, and so is an axis of length 1: an
        unknown length is not one that is broadcast.
        """
        found = []
        for wrt, (model, point, _) in self._right.items():
            broadcast = point.feeds[wrt].shape[:1] in ((), (1,))
            if self.runner != _RUNTIME or len(self.targets) > 1 or broadcast:
                continue
            dynamic = with_symbolic_axis(model, wrt)
            if not loads(dynamic):
                continue
            name = f"{wrt}, symbolic"
            try:
                rewritten = with_gradient(dynamic, self.targets, [wrt])
                (got,) = self._running(rewritten)([f"{wrt}_grad"], self._fed(point))
            except OnnxCamError as error:
                found.append(Finding(name, Kind.REFUSED, str(error)))
            except Exception as error:
                found.append(Finding(name, Kind.WRONG, f"does not run: {error}"))
            else:
                wrong = self.difference(np.asarray(got), wrt, point)
                found.append(Finding(name, Kind.WRONG if wrong else Kind.COMPARED, wrong))
        return found

    def _compared(self, wrt: str, model: onnx.ModelProto, run: Run) -> Finding:
        point = self._smooth_point(wrt)
        if point is None:
            return Finding(wrt, Kind.NO_REFERENCE, "; ".join(self._notes))
        try:
            (got,) = run([f"{wrt}_grad"], self._fed(point))
        except Exception as error:  # what a runtime says of the rewritten model
            return Finding(wrt, Kind.WRONG, f"does not run ({self.runner}): {error}")
        wrong = self.difference(np.asarray(got), wrt, point)
        if not wrong:
            self._right[wrt] = model, point, np.asarray(got)
        note = f"{wrong} ({point.note})" if wrong else point.note
        return Finding(wrt, Kind.WRONG if wrong else Kind.COMPARED, note)

    # -- the gradient -------------------------------------------------------------------------

    def _running(self, model: onnx.ModelProto) -> Run:
        """Made when it is first called, so that what a runtime says then is its finding."""
        made: list[Run] = []

        def run(names: list[str], feeds: Arrays) -> list[np.ndarray]:
            if not made:
                made.append(_RUNNERS[self.runner](model))
            fed = {v.name: feeds[v.name] for v in model.graph.input if v.name in feeds}
            try:
                return made[0](names, fed)
            except Exception as error:
                if self.runner != _BOTH:
                    raise
                self._notes.append(f"{_BOTH}: {error}")
                self.runner = _REFERENCE
                made[0] = in_reference(model)
                return made[0](names, fed)

        return run

    def _fed(self, point: Point) -> Arrays:
        dtypes = _seed_dtypes(self.test, self.targets)
        seeds = zip(self.targets, point.weights, dtypes, strict=True)
        return point.feeds | {f"{name}_seed": np.asarray(w, dtype) for name, w, dtype in seeds}

    def difference(self, got: np.ndarray, wrt: str, point: Point) -> str:
        """How the gradient differs from the slopes; nothing where it does not."""
        x = point.feeds[wrt]
        dtype = _cotangent_dtype(x)
        if got.shape != x.shape or got.dtype != dtype:
            return f"gradient is {got.dtype} {got.shape}, not {dtype} {x.shape}"
        gradient = got.astype(np.float64)
        if not np.isfinite(gradient).all():
            return "gradient holds values that are no number"
        tolerance = point.oracle.tolerance + self.precision
        norm, largest = float(np.sqrt((gradient**2).sum())), float(np.abs(gradient).max())
        floor = 1e-5 if point.oracle.step < 1e-3 else 1e-3
        for slope in point.slopes:
            single = np.count_nonzero(slope.direction) == 1 and gradient.size > 1
            predicted = float((gradient * slope.direction).sum())
            size = max(largest if single else norm, abs(slope.value))
            if abs(predicted - slope.value) > tolerance * size + floor:
                where = f"element {np.argmax(slope.direction)}" if single else "a direction"
                return f"along {where}: {predicted:.6g}, differences say {slope.value:.6g}"
        return ""

    # -- the differences ----------------------------------------------------------------------

    def _smooth_point(self, wrt: str) -> Point | None:
        """Where differences can be taken, by the most precise oracle that can.

        If possible all outputs are finite there.
        """
        size = self.test.feeds[wrt].size
        along = directions(self.test.name, self.test.feeds[wrt], 2, 10 if size <= _LARGE else 1)
        for oracle in self._trusted():
            infinite = None
            for moved, feeds in points(self.test.name, self.test.feeds, wrt):
                try:
                    outputs = oracle.forward(feeds)
                    if [y.shape for y in outputs] != [y.shape for y in self.outputs]:
                        continue
                    weights = weights_for(self.test.name, outputs)
                    if infinite and not all(np.all(w) for w in weights):
                        continue
                    found = slopes(oracle, feeds, wrt, weights, along)
                except Exception:  # moved values may be out of the operator's range
                    continue
                if found is not None:
                    point = Point(oracle, moved, feeds, weights, found)
                    if all(np.all(w) for w in weights):
                        return point
                    infinite = point
            if infinite:
                return infinite
            self._notes.append(f"{oracle.name}: not smooth at '{wrt}'")
        return None

    def _trusted(self) -> Iterator[Oracle]:
        """The oracles that compute the same as what runs the gradient; slow ones last."""
        yield from list(self._usable)
        many = sum(y.size for y in self.outputs) > _MANY_OUTPUTS
        for oracle in self._candidates:
            if oracle.engine == "reference" and many:
                self._slow.append(oracle)
            elif self._is_right(oracle):
                self._usable.append(oracle)
                yield oracle
        while self._slow:
            oracle = self._slow.pop(0)
            if self._is_right(oracle):
                self._usable.append(oracle)
                yield oracle

    def _is_right(self, oracle: Oracle) -> bool:
        """Whether an oracle gives the expected outputs; a note where it does not."""
        try:
            outputs = oracle.forward(self.test.feeds)
        except Exception as error:  # whatever an evaluator raises
            self._notes.append(f"{oracle.name}: {str(error).splitlines()[0][:200]}")
            return False
        if not same_outputs(outputs, self.outputs, self.precision):
            self._notes.append(f"{oracle.name}: not the expected output")
            return False
        return True


@dataclass(frozen=True)
class Point:
    """Inputs at which a weighted sum of the outputs is smooth, and its slopes there."""

    oracle: Oracle
    moved: str
    feeds: Arrays
    weights: list[np.ndarray]
    slopes: list[Slope]

    @property
    def note(self) -> str:
        return ", ".join(filter(None, [self.oracle.name, self.moved]))


def _cotangent_dtype(array: np.ndarray) -> np.dtype:
    return np.dtype(np.float64 if array.dtype == np.float64 else np.float32)


def _seed_dtypes(test: BackendTest, targets: Sequence[str]) -> list[np.dtype]:
    """Those of the outputs' cotangents; of several, the widest of them."""
    own = [_cotangent_dtype(test.outputs[name]) for name in targets]
    return [max(own, key=lambda dtype: dtype.itemsize)] * len(own)
