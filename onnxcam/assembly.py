"""From what was read to what a model is fed, and from its answers to explanations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxcam.cards import Card
from onnxcam.diagnosis import STRAIGHT_THROUGH, Evidence, diagnose, is_empty
from onnxcam.errors import ExecutionError
from onnxcam.explanation import Explanation
from onnxcam.explanation import Target as Named
from onnxcam.frame import Frame
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput
from onnxcam.methods import Method
from onnxcam.outputs import BOX, INDEX, PROBABILITY, RAW, SCORE
from onnxcam.programs import Program
from onnxcam.providers import Providers
from onnxcam.runtime import Arrays
from onnxcam.sources import Source, SourceSpec, read_source, size_of, values_of
from onnxcam.targets import Target
from onnxcam.targets.usual import to_know, why_nothing


@dataclass(frozen=True)
class Prepared:
    """A picture, volume or signal, and the tensor (1, ...) that the model is fed for it."""

    spec: SourceSpec
    source: Source
    x: np.ndarray
    frame: Frame


@dataclass(frozen=True)
class Assembly:
    """What of explaining is the same for all pictures, and needs no session."""

    network: Network
    image: ImageInput
    card: Card
    method: Method
    drawn: Mapping[str, Any]
    providers: Providers

    def prepared(self, spec: SourceSpec) -> Prepared:
        """Read something and make it what the model takes; may be called from any thread.

        Raises `ImageError`, `VolumeError`, `PreprocessError`, and `ExecutionError` where the model
        needs more than a picture.
        """
        source = read_source(spec, self.image)
        preprocess, size = self.card.preprocess, size_of(source)
        x = preprocess.tensor(values_of(source), self.image)
        self.require_inputs({self.image.name: x})
        frame = preprocess.frame(size, preprocess.input_size(self.image, size))
        return Prepared(spec, source, x, frame)

    def fed(self, x: np.ndarray) -> Arrays:
        """A model of fixed batch size gets the picture that often."""
        return {self.image.name: np.repeat(x, self.image.batch or 1, axis=0)}

    def require_inputs(self, feeds: Arrays) -> None:
        """Raise `ExecutionError` where the model needs more than is fed."""
        missing = [t.name for t in self.network.inputs if t.name not in feeds]
        if missing:
            raise ExecutionError(
                f"the model needs more inputs than the picture: {', '.join(missing)}; "
                f"use Explainer.run with all of them"
            )

    def explanations(
        self, of: Prepared, target: Target, program: Program, answer: Arrays, n: int
    ) -> Iterator[Explanation]:
        """Those of the picture whose answer is the n-th, and whose own target is `target`."""
        for k, raw in enumerate(answer[RAW][n]):
            explained = self._named(target, k, answer, n, of.frame)
            yield Explanation(
                raw=raw,
                target=explained,
                method=self.method.name,
                layer=", ".join(layer.name for layer in program.layers),
                provider=program.provider,
                frame=of.frame,
                source=of.source,
                image=os.fspath(of.spec) if isinstance(of.spec, str | os.PathLike) else None,
                warnings=self._warnings(of, program, target, k, raw, explained),
                outliers=self.method.outliers,
                **self.drawn,
            )

    def _named(self, target: Target, k: int, answer: Arrays, n: int, frame: Frame) -> Named:
        index = int(answer[INDEX][n, k])
        box = frame.to_source(answer[BOX][n, k]).tolist() if BOX in answer else None
        return Named(
            index,
            target.label(k, index, self.card.label),
            float(answer[SCORE][n, k]),
            float(answer[PROBABILITY][n, k]),
            target.key(k, index),
            box and tuple(box),
        )

    def _warnings(
        self,
        of: Prepared,
        program: Program,
        target: Target,
        k: int,
        raw: np.ndarray,
        explained: Named,
    ) -> list[str]:
        """What to know before trusting the map."""
        own = to_know(target, self.network)
        warnings = [*self._resized(of.frame), *own, *self._method_warnings]
        if program.straight_through:
            warnings.append(STRAIGHT_THROUGH)
        # A signed map that is drawn as a whole shows something where nothing speaks for the target.
        if is_empty(raw) and is_empty(self.drawn["finish"].unit(raw)):
            warnings.append(diagnose(raw, self._evidence(of, program, target, k, explained)))
        return warnings

    @cached_property
    def _method_warnings(self) -> tuple[str, ...]:
        """What the method has to say of the model, whatever the picture."""
        return self.method.warnings(self.network)

    def _resized(self, frame: Frame) -> tuple[str, ...]:
        """Pictures come in any size; volumes and signals were measured on a grid that matters."""
        if self.image.is_picture or frame.source == frame.input:
            return ()
        given, taken = (" x ".join(map(str, size)) for size in (frame.source, frame.input))
        return (f"what was read, {given}, was resized to the model's {taken}",)

    def _evidence(
        self, of: Prepared, program: Program, target: Target, k: int, explained: Named
    ) -> Evidence:
        """Run once more, with what the map was made from as outputs."""
        from onnxcam.equipment import ACTIVATIONS, Equipment  # few maps are empty

        equipment = Equipment(self.network, program.layers, target, self.providers)
        gradient = None
        if "gradient" in self.method.needs:
            activations, gradients = equipment.layer_gradients(self.fed(of.x), target)
            gradient = gradients[0, k]
        else:
            activations = equipment.answer(self.fed(of.x), target)[ACTIVATIONS]
        return Evidence(
            x=of.x.astype(np.float32),
            score=explained.score,
            probability=explained.probability,
            activations=activations[0],
            spatial=program.layers[0].features.spatial,
            gradient=gradient,
            differentiated=getattr(target, "score", "logit"),
            remark=why_nothing(target, explained.score),
        )
