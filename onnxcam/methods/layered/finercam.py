"""Finer-CAM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.errors import MethodError, ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network, is_float
from onnxcam.methods.base import Baked
from onnxcam.methods.layered.base import base_method
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene
from onnxcam.targets.base import Explained, seeds_of
from onnxcam.targets.scores import Scores, picked


@register
@dataclass(frozen=True)
class FinerCAM(Baked):
    """What tells a class from those most like it: a map of the difference of their scores.

    The class y is compared with the `similar` classes j whose logits are nearest to its own,
    weighted among each other by their probabilities: sum_j p_j (y - alpha y_j) / sum_j p_j. That
    number is explained by the method called `base`, Grad-CAM unless told otherwise, even where
    the score to explain is the probability. pytorch-grad-cam compares in the same way (its
    1e-9 under the fraction is left out here) and follows the gradient of the weights as well; so
    does this. Its comparison leaves one class out where two logits are equal.
    """

    alpha: float = 1.0
    similar: int = 3
    base: str = "gradcam"

    name = "finercam"
    title = "Finer-CAM"
    formula = "Grad-CAM of the mean of y - alpha y_j over similar classes j, weighted by p_j"
    paper = "Zhang et al. 2025, arXiv:2501.11309"
    needs = ("gradient", "classes")
    cost = "1"

    def __post_init__(self) -> None:
        if not math.isfinite(self.alpha):
            raise MethodError(f"finercam: alpha is {self.alpha}; it must be a number")
        if self.similar < 1:
            raise MethodError(f"finercam compares with {self.similar} classes; choose one or more")
        base_method(self.base, self.name)

    @cached_property
    def _method(self) -> Baked:
        return base_method(self.base, self.name)

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        return self._method.layers(network, spec)

    def emit(self, scene: Scene) -> gs.Tensor:
        e, explained = scene.e, scene.explained
        scores = Scores.of(e, _classes(e.network))
        if explained.probability is None or not _explains(scores.head, explained):
            raise MethodError("finercam compares classes, and the target is none; choose gradcam")
        if scores.head.classes < 2:
            raise MethodError("finercam compares classes, and the model has one; choose gradcam")
        compared = self._compared(e, scores.logits, explained.index)
        name = scores.logits.name
        cotangent = differentiate(e, seeds_of(e, compared), [name])[name]
        return self._method.emit(scene.towards(scores.seeds(cotangent)))

    def _compared(self, e: Emitter, logits: gs.Tensor, index: gs.Tensor) -> gs.Tensor:
        """The difference explained, (N, K)."""
        classes, count = int(logits.shape[1]), int(index.shape[1])
        similar = min(self.similar, classes - 1)
        own = picked(e, logits, index)
        values = e.cast(logits, np.float32)
        distance = e.unary("Abs", e.sub(e.unsqueeze(values, [1]), e.unsqueeze(own, [2])))
        itself = e.equal(e.unsqueeze(index, [2]), e.constant(np.arange(classes), np.int64))
        distance = e.where(itself, np.inf, distance)
        shape = [index.shape[0], count, similar]
        _, nearest = e.several(
            "TopK",
            [distance, e.ints(similar)],
            [shape, shape],
            [np.float32, np.int64],
            axis=2,
            largest=0,
        )
        row = e.op("Reshape", nearest, e.ints(0, -1), shape=[shape[0], count * similar])
        others = e.op("Reshape", picked(e, values, row), e.ints(0, count, similar), shape=shape)
        # Of their probabilities only the proportions count: a Softmax over them alone.
        raised = e.sub(others, e.reduce("ReduceMax", others, [-1]))
        powers = e.unary("Exp", raised)
        share = e.div(powers, e.reduce("ReduceSum", powers, [-1]))
        mean = e.reduce("ReduceSum", e.mul(share, others), [-1], keepdims=False)
        return e.sub(own, e.mul(mean, self.alpha))


def _classes(network: Network) -> Head:
    try:
        return find_head(network)
    except ModelError:
        raise MethodError(
            "finercam compares classes, and the model gives the picture none; choose gradcam"
        ) from None


def _explains(head: Head, explained: Explained) -> bool:
    """Whether gradients start at the head's scores, or in front of their rounding."""
    return not is_float(head.logits) or head.logits.name in explained.seeds
