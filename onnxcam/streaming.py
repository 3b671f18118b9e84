"""Many pictures: read ahead, run together, their explanations in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Hashable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from onnxcam.assembly import Assembly, Prepared
from onnxcam.errors import OF_ONE_PICTURE, ExecutionError, OnnxCamError
from onnxcam.execution.batching import Fixed, Measured, Sizes, grouped
from onnxcam.execution.pipeline import ordered
from onnxcam.explanation import Explanations
from onnxcam.graph.network import Network
from onnxcam.outputs import RAW, SCORE
from onnxcam.programs import BakedProgram, Program
from onnxcam.runtime import Arrays
from onnxcam.sources import SourceSpec
from onnxcam.targets import Several, Target, Wanted, in_parts

Request = tuple[SourceSpec, Wanted]
Outcome = Explanations | OnnxCamError
"""What becomes of one picture: its explanations, or why there are none."""

TOGETHER = 32
"""Classes explained in one run; more of them are explained in several."""

BATCHES_AHEAD = 2
"""Batches that wait for the session, or that it is at."""

_CLOSE = 5e-3
"""By how much of its largest value a map may change with the pictures beside: a convolution in
TensorFloat-32 does by 1e-3."""

_ACROSS_PICTURES = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
"""Operators that see all pictures of a batch as one: they take one range for them."""


@dataclass(frozen=True)
class _Settled:
    """A picture and its target; `answer` to it is in a row of what a batch gives."""

    picture: Prepared
    target: Target


@dataclass
class Stream:
    """Explains pictures, a few at a time where their model and method allow.

    `settle` gives a prepared picture its target, `program` what explains targets of its kind;
    `together` remembers, for the kinds of targets, whether pictures may be run together,
    `measured` how many are best.
    """

    assembly: Assembly
    settle: Callable[[Prepared, Wanted], Target]
    program: Callable[[Target], Program]
    together: dict[Hashable, bool] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)

    def outcomes(
        self, requests: Iterable[Request], batch: int | None, batches: bool
    ) -> Generator[Outcome, None, None]:
        """What becomes of each picture, in order, however many there are.

        Pictures are read on other threads, a little ahead. Where the method `batches`, one more
        thread runs the model, on `batch` pictures together (None: as many as is fastest); else the
        caller's own does, one by one: such a run is long, and can be interrupted so.
        Raises what is no error of one picture.
        """
        sizes = self._sizes(batch) if batches else Fixed(1)
        threads = workers()
        read = ordered(requests, self._read, threads, 2 * threads)
        groups = grouped(read, sizes)
        if batches:
            run = partial(self._explained, sizes=sizes)
            explained = ordered(groups, run, 1, BATCHES_AHEAD)
        else:
            explained = (self._explained(group, sizes) for group in groups)
        with closing(read), closing(explained):
            for outcomes in explained:
                yield from outcomes

    def explained(self, spec: SourceSpec, wanted: Wanted) -> Explanations:
        """One picture, here and now."""
        picture = self.assembly.prepared(spec)
        return self._alone(_Settled(picture, self.settle(picture, wanted)))

    def _sizes(self, batch: int | None) -> Sizes:
        fixed = self.assembly.image.batch
        if batch is not None and batch < 1:
            raise ExecutionError(f"batch {batch}: give a number of pictures, 1 or more")
        if fixed is not None:
            if batch not in (None, 1, fixed):
                raise ExecutionError(
                    f"batch {batch}: the model takes exactly {fixed} at a time; leave batch out, "
                    f"or export the model with the batch left open"
                )
            return Fixed(fixed if batch is None else batch)
        if crosses_pictures(self.assembly.network):
            return Fixed(1)
        if batch is not None:
            return Fixed(batch)
        self.measured.pause()
        return self.measured

    def _read(self, request: Request) -> tuple[Prepared, Wanted] | OnnxCamError:
        spec, wanted = request
        try:
            return self.assembly.prepared(spec), wanted
        except OF_ONE_PICTURE as error:
            return error

    def _explained(
        self, group: list[tuple[Prepared, Wanted] | OnnxCamError], sizes: Sizes
    ) -> list[Outcome]:
        settled = [self._settled(one) for one in group]
        alike: dict[Hashable, list[int]] = {}
        for place, one in enumerate(settled):
            if isinstance(one, _Settled):
                kind = (one.target.structure, one.picture.x.shape, self._in_one_run(one.target))
                alike.setdefault(kind, []).append(place)
        outcomes: list[Outcome | None] = [
            one if isinstance(one, OnnxCamError) else None for one in settled
        ]
        for places in alike.values():
            some = [one for place in places if isinstance(one := settled[place], _Settled)]
            for place, outcome in zip(places, self._of_one_kind(some, sizes), strict=True):
                outcomes[place] = outcome
        sizes.note(len(group))
        return [one for one in outcomes if one is not None]

    def _settled(self, one: tuple[Prepared, Wanted] | OnnxCamError) -> _Settled | OnnxCamError:
        if isinstance(one, OnnxCamError):
            return one
        picture, wanted = one
        try:
            return _Settled(picture, self.settle(picture, wanted))
        except OF_ONE_PICTURE as error:
            return error

    def _in_one_run(self, target: Target) -> bool:
        return len(in_parts(target, TOGETHER)) == 1

    def _of_one_kind(self, some: list[_Settled], sizes: Sizes) -> list[Outcome]:
        """Pictures whose targets one program explains."""
        kind = some[0].target.structure
        if len(some) > 1 and self._in_one_run(some[0].target) and self.together.get(kind, True):
            found = self._together(some, sizes)
            if found is not None:
                return found
            self.together[kind] = False
            sizes.stop()
        return [self._outcome(one) for one in some]

    def _outcome(self, one: _Settled) -> Outcome:
        try:
            return self._alone(one)
        except OF_ONE_PICTURE as error:
            return error

    def _alone(self, one: _Settled) -> Explanations:
        found = Explanations()
        for target in in_parts(one.target, TOGETHER):
            program = self.program(target)
            answer = program.run(self.assembly.fed(one.picture.x), target, ())
            found += self.assembly.explanations(one.picture, target, program, answer, 0)
        return found

    def _together(self, some: list[_Settled], sizes: Sizes) -> list[Outcome] | None:
        """Pictures in one run; None where the model does not take them so, or mixes them."""
        program = self.program(some[0].target)
        if not isinstance(program, BakedProgram):
            return None
        missing = (self.assembly.image.batch or len(some)) - len(some)
        rows = [*some, *[some[-1]] * missing]
        x = np.concatenate([one.picture.x for one in rows])
        target = Several(tuple(one.target for one in rows))
        kind = target.structure
        try:
            answer = program.run({self.assembly.image.name: x}, target, ())
        except ExecutionError:
            return None
        if len(answer[RAW]) != len(rows):
            return None
        if kind not in self.together:
            last = some[-1]
            alone = program.run(self.assembly.fed(last.picture.x), last.target, ())
            sizes.pause()
            if not _agree(answer, alone, len(some) - 1):
                return None
            self.together[kind] = True
        return [
            Explanations(self.assembly.explanations(one.picture, one.target, program, answer, n))
            for n, one in enumerate(some)
        ]


def crosses_pictures(network: Network) -> bool:
    """Whether the model gives a picture another answer where others are beside it."""
    return any(node.op in _ACROSS_PICTURES for node in network.graph.nodes)


def workers() -> int:
    """Threads that read, or write, pictures at the same time: one a core, eight at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, cores or 1)


def _agree(answer: Arrays, alone: Arrays, n: int) -> bool:
    """Whether the n-th picture has the map and score that it has alone."""
    for name in (RAW, SCORE):
        one, other = answer[name][n], alone[name][0]
        scale = float(np.nanmax(np.abs(other), initial=0))
        if not np.allclose(one, other, rtol=0, atol=_CLOSE * scale, equal_nan=True):
            return False
    return True
