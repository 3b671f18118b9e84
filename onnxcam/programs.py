"""A model, a method and a target, ready to run: one session, or as many as a search needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Protocol

import numpy as np

from onnxcam.augmentation import FACTORS, changed, in_picture, picture_size, require_placeless
from onnxcam.compose import Composition, compose
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network
from onnxcam.methods import Baked, Method, Searched
from onnxcam.methods.maps import fused
from onnxcam.methods.smoothing import AUGMENT
from onnxcam.outputs import INDEX, PROBABILITY, RAW, SCORE, fetched, known_of
from onnxcam.providers import Providers
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Several, Target

if TYPE_CHECKING:
    from onnxcam.equipment import Equipment


class Program(Protocol):
    """Explains model-ready pictures for targets of one structure."""

    @property
    def layers(self) -> tuple[TargetLayer, ...]: ...

    @property
    def provider(self) -> str: ...

    @property
    def straight_through(self) -> bool:
        """Whether the method takes gradients that pass rounding as if it were the identity."""

    def run(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        """`RAW` (N, K, *size), `INDEX`, `SCORE` and `PROBABILITY` (N, K; NaN where the target
        has none), what else of `onnxcam.outputs` is known, and of the model's own outputs those
        in `own`, or all of them."""


@dataclass(frozen=True)
class Order:
    """What is to be explained, how, and where it runs."""

    network: Network
    method: Method
    layer: LayerSpec
    target: Target
    providers: Providers
    fuse: str = "mean"
    smooth: str | None = None


def program_for(order: Order) -> Program:
    """Compose, and load, what an order needs."""
    program = _unsmoothed(order)
    if order.smooth != AUGMENT:
        return program
    from onnxcam.equipment import Equipment  # as below

    plain = Equipment(order.network, (), order.target, order.providers)
    return AugmentedProgram(program, plain)


def _unsmoothed(order: Order) -> Program:
    network, method, target = order.network, order.method, order.target
    if isinstance(method, Baked):
        made = compose(network, method, order.layer, target, order.fuse, order.smooth)
        return BakedProgram(made, _loaded(made, order))
    assert isinstance(method, Searched)
    from onnxcam.equipment import Equipment  # a method in closed form needs nothing of it

    layers = method.layers(network, order.layer)
    apart = len(layers) > 1 and not method.joins_layers
    parts = [(layer,) for layer in layers] if apart else [layers]
    behind = method.runs_behind
    equipments = [Equipment(network, part, target, order.providers, behind) for part in parts]
    return SearchedProgram(method, tuple(equipments), order.fuse)


def _loaded(made: Composition, order: Order) -> Runner:
    outputs = {RAW: made.raw} | known_of(made.explained)
    return Runner(made.serialized(outputs), order.providers, order.network.folder)


@dataclass(frozen=True)
class BakedProgram:
    """A method in closed form: one session, one run."""

    composition: Composition
    runner: Runner

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        return self.composition.layers

    @property
    def provider(self) -> str:
        return self.runner.provider

    @property
    def straight_through(self) -> bool:
        return self.composition.straight_through

    def run(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        wanted = fetched(self.runner.outputs, self.composition.emitter.network, own)
        return with_probability(self.runner.run(feeds | target.feeds(), wanted))


@dataclass(frozen=True)
class SearchedProgram:
    """A method that runs the model many times: layer by layer, picture by picture."""

    method: Searched
    equipments: tuple[Equipment, ...]
    fuse: str

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        return tuple(layer for one in self.equipments for layer in one.layers)

    @property
    def provider(self) -> str:
        return self.equipments[0].provider

    @cached_property
    def straight_through(self) -> bool:
        takes = "gradient" in self.method.needs
        return takes and any(one.is_straight_through for one in self.equipments)

    def run(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        found = [self._at(one, feeds, target, own) for one in self.equipments]
        size = picture_size(self.equipments[0].image, feeds)
        return found[0] | {RAW: fused([one[RAW] for one in found], size, self.fuse)}

    def _at(
        self, equipment: Equipment, feeds: Arrays, target: Target, own: Collection[str] | None
    ) -> Arrays:
        """The answer with the maps of one layer."""
        from onnxcam.laboratory import Laboratory  # as above

        answer = with_probability(equipment.answer(feeds, target, own))
        count = len(answer[INDEX])
        raws = [
            self.method.search(Laboratory(equipment, feeds, target, answer, n))
            for n in range(count)
        ]
        return answer | {RAW: np.stack(raws).astype(np.float32)}


@dataclass(frozen=True)
class AugmentedProgram:
    """The mean of another program's maps over mirrored, darker and brighter pictures.

    As pytorch-grad-cam's `aug_smooth`: mirrored or not, times what the model is fed multiplied by
    0.9, 1 and 1.1; each map is cut off at zero, scaled to [0, 1] at the picture's size and
    mirrored back. What the unchanged picture is explained for is explained of all six; the library
    without a target asks each for its own best class.
    """

    program: Program
    plain: Equipment

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        return self.program.layers

    @property
    def provider(self) -> str:
        return self.program.provider

    @property
    def straight_through(self) -> bool:
        return self.program.straight_through

    def run(self, feeds: Arrays, target: Target, own: Collection[str] | None = None) -> Arrays:
        """Raises `TargetError` for a target that has a place in the picture."""
        from onnxcam.laboratory import held  # as above

        require_placeless(target)
        image = self.plain.image
        seen = self.plain.answer(feeds, target, ())
        kept = Several(tuple(held(target, seen, n) for n in range(len(seen[INDEX]))))
        answer: Arrays = {}
        maps: list[np.ndarray] = []
        for mirrored, factor in product((False, True), FACTORS):
            found = self.program.run(changed(feeds, image, mirrored, factor), kept, own)
            if not mirrored and factor == 1:
                answer = found
            whole = in_picture(found[RAW], picture_size(image, feeds))
            maps.append(whole[..., ::-1] if mirrored else whole)
        return answer | {RAW: np.asarray(np.mean(maps, axis=0, dtype=np.float32))}


def with_probability(answer: Arrays) -> Arrays:
    """The answer with NaN where its scalars have no probability."""
    unknown = np.full(answer[SCORE].shape, np.nan, np.float32)
    return {PROBABILITY: unknown} | answer
