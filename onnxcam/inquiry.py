"""What targets ask beforehand, of a model and of pictures that are fed to it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from onnxcam.assembly import Assembly
from onnxcam.errors import TargetError
from onnxcam.frame import Frame
from onnxcam.outputs import INDEX, PROBABILITY, SCORE
from onnxcam.programs import with_probability
from onnxcam.runtime import Arrays, Runner
from onnxcam.sources import SourceSpec
from onnxcam.targets import Case, Target

if TYPE_CHECKING:
    from onnxcam.equipment import Equipment


@dataclass(frozen=True)
class Inquiry:
    """Answers them with sessions that are made when they are first needed."""

    assembly: Assembly
    _meters: dict[Hashable, Equipment] = field(default_factory=dict)

    def case(self, feeds: Arrays | None = None, frame: Frame | None = None) -> Case:
        """What may be asked of these feeds, and of other pictures; None where none is fed yet."""
        network, card = self.assembly.network, self.assembly.card

        def answer(image: SourceSpec | None = None) -> Arrays:
            fed = feeds if image is None else self._fed(image)
            if fed is None:
                raise TargetError("this target depends on the picture, and there is none yet")
            return self.plain.run(fed)

        def measure(target: Target) -> tuple[np.ndarray, ...]:
            if feeds is None:
                raise TargetError("this target depends on the picture, and there is none yet")
            found = with_probability(self._meter(target).answer(feeds, target))
            return found[INDEX], found[SCORE], found[PROBABILITY]

        return Case(network, answer, card.index, measure, frame)

    @cached_property
    def plain(self) -> Runner:
        """The model as it is."""
        network = self.assembly.network
        return Runner(network.serialized, self.assembly.providers, network.folder)

    def _meter(self, target: Target) -> Equipment:
        if target.structure not in self._meters:
            from onnxcam.equipment import Equipment  # few targets are measured beforehand

            meter = Equipment(self.assembly.network, (), target, self.assembly.providers)
            self._meters[target.structure] = meter
        return self._meters[target.structure]

    def _fed(self, image: SourceSpec) -> Arrays:
        return self.assembly.fed(self.assembly.prepared(image).x)
