"""Running what lies behind some tensors again and again, on changed values of them.

Variants run together where the model allows it. Whether it does is tried out, because a model may
fix its batch anywhere inside, or work something out from the whole batch (dynamic quantisation
does): then they run one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.batches import count_of, filled_up, in_batches
from onnxcam.compose import Addition
from onnxcam.errors import ExecutionError
from onnxcam.graph.dims import is_static
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.split import Split, split
from onnxcam.providers import Providers
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Explained, Target

LEAST = 4
"""Variants run together where the model leaves the batch open, unless memory is short."""

ELEMENTS = 2**22
"""Elements of the largest tensor up to which more are: what no cache holds costs time."""

MEMORY = 2**30
"""Bytes that the activations of a batch of variants may take, roughly."""

_TENSORS_ALIVE = 4
"""Tensors as large as the largest that a run holds at once, roughly."""

_TOLERANCE = 1e-3

_CROSSING = "cam_crossing_{}"

Feeds = Callable[[int], Arrays]
"""What the model is fed, the unchanged picture and all else, for so many copies of it."""


@dataclass
class Section:
    """Some of a target's tensors as functions of the tensors `cut`.

    `batch` is the model's own, None where it is open; `together` how many variants run at a time,
    once that was tried out. The sessions are made when they are first needed.
    """

    network: Network
    cut: tuple[gs.Tensor, ...]
    target: Target
    outputs: Callable[[Explained], dict[str, gs.Tensor]]
    batch: int | None
    providers: Providers
    together: int | None = field(default=None, init=False)

    @property
    def crossing(self) -> dict[str, gs.Tensor]:
        """The tensors that reach the outputs around the cut."""
        return self.split.crossing

    @cached_property
    def split(self) -> Split:
        e, explained = self._emitted
        defaults = {choice.variable.name: choice.default for choice in explained.choices}
        return split(e, self.cut, self.outputs(explained), defaults)

    @cached_property
    def _emitted(self) -> tuple[Emitter, Explained]:
        e = Emitter(self.network)
        return e, self.target.emit(e)

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.split.model, self.providers)

    @cached_property
    def inputs(self) -> set[str]:
        return {value.name for value in self.split.model.graph.input}

    @property
    def largest_batch(self) -> int:
        elements = max(1, self.split.largest)
        fitting = MEMORY // (4 * _TENSORS_ALIVE * elements)
        return max(1, min(fitting, max(LEAST, ELEMENTS // elements)))

    @property
    def by_picture(self) -> dict[str, gs.Tensor]:
        """What of the network crosses and has an entry for each picture; nothing else grows."""
        batch = self.network.tensors[find_image_input(self.network).name].shape[0]
        return {
            name: tensor
            for name, tensor in self.crossing.items()
            if (isinstance(batch, str) or batch == 1)
            and len(tensor.shape or []) > 1
            and tensor.shape[0] == batch
            and is_static(tensor.shape[1:])
            and name in self.network.tensors
        }

    def crossing_values(self, feeds: Arrays, target: Target) -> Arrays:
        """What crosses in a run of the whole model, by name."""
        given = {name: feeds[name] for name in self.crossing if name in feeds}
        if len(given) == len(self.crossing):
            return given
        found = self._front.run(feeds | target.feeds())
        return {name: found[_CROSSING.format(k)] for k, name in enumerate(self.crossing)}

    @cached_property
    def _front(self) -> Runner:
        outputs = {_CROSSING.format(k): t for k, t in enumerate(self.crossing.values())}
        model = Addition(*self._emitted).serialized(outputs)
        return Runner(model, self.providers, self.network.folder)


@dataclass(frozen=True)
class Rerun:
    """A section behind one picture's tensors, for one picture's targets.

    `seen` is what is known already of what crosses, (1, ...) each.
    """

    section: Section
    feeds: Feeds
    target: Target
    seen: Arrays = field(default_factory=dict)
    _copies: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, init=False)

    def answers(self, variants: Arrays) -> Arrays:
        """The outputs for variants of the tensors cut at, (n, ...) each, by name.

        Of what crosses, variants may be given too; all else is that of the unchanged picture.
        """
        cut = (tensor.name for tensor in self.section.cut)
        named = dict(zip(cut, self.section.split.entrances, strict=True))
        given = {named.get(name, name): value for name, value in variants.items()}
        return in_batches(self._run, given, self._together(given))

    @cached_property
    def crossing(self) -> Arrays:
        """What crosses for the unchanged picture, in a batch of the model's own size."""
        if self.seen.keys() >= self.section.crossing.keys():
            return self.seen
        return self.section.crossing_values(self.feeds(self._unit), self.target)

    @property
    def _unit(self) -> int:
        return self.section.batch or 1

    def _run(self, given: Arrays) -> Arrays:
        """One run; a batch of fixed size is filled with the last variant."""
        return filled_up(self._run_whole, given, self._unit)

    def _run_whole(self, given: Arrays) -> Arrays:
        around = self._crossing_of(count_of(given), self.section.crossing.keys() - given.keys())
        fed = around | self.target.feeds() | given
        feeds = {name: value for name, value in fed.items() if name in self.section.inputs}
        return self.section.runner.run(feeds)

    def _together(self, given: Arrays) -> int:
        """How many variants to run at a time."""
        if self._unit > 1:
            return self._unit
        if self.section.together is None:
            largest = self.section.largest_batch
            self.section.together = largest if self._may_batch(given) else 1
        return self.section.together

    def _may_batch(self, given: Arrays) -> bool:
        """Whether variants have the same answers together as alone."""
        first, last = ({name: v[[k]] for name, v in given.items()} for k in (0, -1))
        faded = {name: (v[:1] * 0.5).astype(v.dtype) for name, v in given.items()}
        alone = [self._run(variant) for variant in (first, last, faded)]
        three = {name: np.concatenate([first[name], last[name], faded[name]]) for name in given}
        try:
            together = self._run(three)
        except ExecutionError:
            return False
        for name, found in together.items():
            expected = np.concatenate([one[name] for one in alone])
            if found.shape != expected.shape:
                return False
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
            if not np.allclose(found, expected, _TOLERANCE, _TOLERANCE * scale, equal_nan=True):
                return False
        return True

    def _crossing_of(self, count: int, names: Collection[str]) -> Arrays:
        """What of those crosses for so many copies of the picture."""
        for name in names:
            if (name, count) not in self._copies:
                self._copies[name, count] = self._copied(name, count)
        return {name: self._copies[name, count] for name in names}

    def _copied(self, name: str, count: int) -> np.ndarray:
        one = self.crossing[name]
        if count == self._unit:
            return one
        if name in self.section.by_picture:
            return np.repeat(one, count, axis=0)
        return _repeated(one, self._of_two.get(name), count)

    @cached_property
    def _of_two(self) -> Arrays:
        """What crosses for two copies of the picture; nothing where the model takes only one."""
        if self.section.batch is not None or not self.crossing:
            return {}
        try:
            return self.section.crossing_values(self.feeds(2), self.target)
        except ExecutionError:
            return {}


def _repeated(one: np.ndarray, two: np.ndarray | None, count: int) -> np.ndarray:
    """A value for many copies of a picture, from those for one and, if known, for two.

    A batch's pictures follow each other along an axis, whole or element by element; lengths that
    were worked out from its size grow in proportion. Which it is shows in the value for two.
    """
    if two is None:
        return np.concatenate([one] * count) if one.ndim > 1 else one
    if one.shape == two.shape:
        grows = one.dtype.kind in "iu" and not np.array_equal(one, two)
        return one + (two - one) * (count - 1) if grows else one
    axis = next(k for k, (a, b) in enumerate(zip(one.shape, two.shape, strict=True)) if a != b)
    doubled = np.concatenate([one, one], axis)
    if doubled.shape == two.shape and np.allclose(doubled, two, _TOLERANCE, equal_nan=True):
        return np.concatenate([one] * count, axis)
    return np.repeat(one, count, axis)
