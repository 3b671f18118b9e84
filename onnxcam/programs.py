"""A model, a method and a target, ready to run: one session, or as many as a search needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from onnxcam.compose import Composition, compose
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network
from onnxcam.laboratory import Equipment, Laboratory
from onnxcam.methods import Baked, Method, Searched
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Target

RAW, INDEX, SCORE, PROBABILITY = "cam", "cam_target", "cam_score", "cam_probability"
"""Names under which a program answers, beside the model's own outputs."""


class Program(Protocol):
    """Explains model-ready pictures for targets of one structure."""

    @property
    def layers(self) -> tuple[TargetLayer, ...]: ...

    @property
    def provider(self) -> str: ...

    @property
    def straight_through(self) -> bool: ...

    def run(self, feeds: Arrays, target: Target) -> Arrays:
        """Every output of the model, and `RAW` (N, K, *size), `INDEX`, `SCORE` and
        `PROBABILITY` (N, K; NaN where the target has none)."""


@dataclass(frozen=True)
class Order:
    """What is to be explained, how, and where it runs."""

    network: Network
    method: Method
    layer: LayerSpec
    target: Target
    providers: Sequence[str] | None


def program_for(order: Order) -> Program:
    """Compose, and load, what an order needs."""
    if isinstance(order.method, Baked):
        made = compose(order.network, order.method, order.layer, order.target)
        return BakedProgram(made, _loaded(made, order))
    assert isinstance(order.method, Searched)
    layers = order.method.layers(order.network, order.layer)
    equipment = Equipment(order.network, layers, order.target, order.providers)
    return SearchedProgram(order.method, equipment)


def _loaded(made: Composition, order: Order) -> Runner:
    explained = made.explained
    outputs = {RAW: made.raw, INDEX: explained.index, SCORE: explained.score}
    if explained.probability is not None:
        outputs[PROBABILITY] = explained.probability
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

    def run(self, feeds: Arrays, target: Target) -> Arrays:
        return with_probability(self.runner.run(feeds | target.feeds()))


@dataclass(frozen=True)
class SearchedProgram:
    """A method that runs the model many times: picture by picture."""

    method: Searched
    equipment: Equipment

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        return self.equipment.layers

    @property
    def provider(self) -> str:
        return self.equipment.provider

    @property
    def straight_through(self) -> bool:
        return False

    def run(self, feeds: Arrays, target: Target) -> Arrays:
        answer = with_probability(self.equipment.answer(feeds, target))
        count = len(answer[INDEX])
        raws = [
            self.method.search(Laboratory(self.equipment, feeds, target, answer, n))
            for n in range(count)
        ]
        return answer | {RAW: np.stack(raws).astype(np.float32)}


def with_probability(answer: Arrays) -> Arrays:
    """The answer with NaN where its scalars have no probability."""
    unknown = np.full(answer[SCORE].shape, np.nan, np.float32)
    return {PROBABILITY: unknown} | answer
