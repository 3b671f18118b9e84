"""Similarity: what makes two pictures alike to a model that embeds them?"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import TargetError
from onnxcam.graph.emitter import Emitter
from onnxcam.targets.base import Case, Choice, Explained, seeds_of
from onnxcam.targets.scores import real
from onnxcam.targets.value import find_tensor

REFERENCE_INPUT = "cam_reference"

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Similarity:
    """The cosine between the model's embedding of a picture and that of a reference.

    `reference` is a picture (a path, or an array as `Explainer.explain` takes it); its embedding
    is made when the target is settled, and is a run-time input, `cam_reference`. `output` names
    the output that holds the embedding; left out, the first of real numbers.
    """

    reference: str | os.PathLike[str] | np.ndarray = field(compare=False)
    output: str | None = None
    embedding: np.ndarray | None = field(default=None, compare=False)

    is_placed = False

    @property
    def structure(self) -> Hashable:
        return (Similarity, self.output)

    def settled(self, case: Case) -> Similarity:
        output = find_tensor(case.network, self.output).name
        if output not in (tensor.name for tensor in case.network.graph.outputs):
            raise TargetError(f"'{output}' is no output; an embedding to compare must be one")
        found = case.answer(self.reference)[output][:1]
        embedding = found.reshape(1, -1).astype(np.float32)
        if not np.isfinite(embedding).all() or not embedding.any():
            raise TargetError(
                f"the embedding of the reference{self._name} is not finite or all zero; check the "
                f"preprocessing"
            )
        return replace(self, output=output, embedding=embedding)

    def emit(self, e: Emitter) -> Explained:
        tensor = find_tensor(e.network, self.output)
        x = e.cast(real(e, tensor), np.float32)
        if self.embedding is None:
            raise TargetError("a similarity is settled first: the reference has no embedding yet")
        width = self.embedding.shape[1]
        x = e.reshape(x, [x.shape[0], width])
        reference = gs.Variable(REFERENCE_INPUT, np.dtype(np.float32), ["cam_batch", width])
        product = e.mul(x, reference)
        product.shape = list(x.shape)
        score = e.div(
            e.reduce("ReduceSum", product, [-1]),
            e.mul(_length(e, x), _length(e, reference)),
        )
        score.shape = [x.shape[0], 1]
        index = e.expand(e.constant([[0]], np.int64), score)
        choices = (Choice(reference, self.embedding),)
        return Explained(choices, index, score, None, seeds_of(e, score))

    def feeds(self) -> dict[str, np.ndarray]:
        return {} if self.embedding is None else {REFERENCE_INPUT: self.embedding}

    def alone(self, n: int, index: np.ndarray) -> Similarity:
        return self

    def label(self, k: int, index: int, names: Callable[[int], str | None]) -> str | None:
        return f"similar to{self._name or ' the reference'}"

    def key(self, k: int, index: int) -> str:
        return f"similar-to{self._name.replace(' ', '-')}"

    @property
    def _name(self) -> str:
        if isinstance(self.reference, np.ndarray):
            return ""
        return f" {Path(os.fspath(self.reference)).stem}"


def _length(e: Emitter, x: gs.Tensor) -> gs.Tensor:
    """Euclidean length of rows, (N, 1), never zero."""
    squares = e.reduce("ReduceSum", e.mul(x, x), [-1])
    return e.unary("Sqrt", e.add(squares, _SMALLEST))
