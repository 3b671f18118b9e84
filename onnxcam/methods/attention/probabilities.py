"""The probabilities of attentions, and the gradient of a score with respect to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent, dense
from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.precision import in_single_precision
from onnxcam.autodiff.registry import derivative_of
from onnxcam.autodiff.walk import pull_back
from onnxcam.errors import ModelError, UnsupportedOperatorError
from onnxcam.graph.attentions import Attention
from onnxcam.graph.dims import Shape
from onnxcam.graph.network import describe
from onnxcam.methods.scene import Scene


@dataclass(frozen=True)
class Probabilities:
    """One attention's probabilities, emitted: float32 (N, heads, queries, keys).

    `stored` is the tensor that holds them. A fused operator holds none: it is then one of `body`,
    the operators that `node` is made of.
    """

    scene: Scene
    at: Scene
    tensor: gs.Tensor
    stored: gs.Tensor
    node: gs.Node | None = None
    body: Sequence[gs.Node] = ()

    def gradient(self, seeds: dict[str, Cotangent] | None = None) -> gs.Tensor:
        """d score / d P, in full, K in front when there are several targets.

        `seeds` are where the gradient of other scores than the scene's own starts.
        """
        e, at = self.scene.e, self.at
        if seeds is not None:
            at = Scene(e, replace(self.scene.explained, seeds=seeds), (self.at.layer,))
        dy = at.gradient
        if self.node is not None:
            found = pull_back(e, self.body, {self.node.outputs[0].name: dy}, [self.stored.name])
            dy = dense(e, found[self.stored.name])
        return _by_head(self.scene, e.expand(dy, self.stored), self.stored)


def probabilities(scene: Scene, attentions: Sequence[Attention]) -> list[Probabilities]:
    """What a scene's attentions are, in order."""
    return [
        _opened(scene, at, one) if one.fused else _shown(scene, at)
        for at, one in zip(scene.each_layer(), attentions, strict=True)
    ]


def _shown(scene: Scene, at: Scene) -> Probabilities:
    stored = at.features.tensor
    shown = _by_head(scene, scene.e.cast(stored, np.float32), stored)
    return Probabilities(scene, at, shown, stored)


def _opened(scene: Scene, at: Scene, attention: Attention) -> Probabilities:
    """The probabilities inside a fused operator, computed once more from Q and K."""
    derivative = derivative_of(attention.node)
    if not isinstance(derivative, Lowering):
        raise UnsupportedOperatorError(
            f"{describe(attention.node)} keeps its probabilities to itself; export the model "
            f"without fused attention, or choose another method, gradcam say"
        )
    node = in_single_precision(scene.e, attention.node, set())
    body = derivative.body(scene.e, node)
    found = [inner.outputs[0] for inner in body if inner.op == "Softmax"]
    if len(found) != 1:
        raise ModelError(f"{describe(attention.node)} is no attention of one Softmax")
    return Probabilities(scene, at, _by_head(scene, found[0], found[0]), found[0], node, body)


def _by_head(scene: Scene, values: gs.Tensor, stored: gs.Tensor) -> gs.Tensor:
    """What is stored as (N * heads, queries, keys) as (N, heads, queries, keys), behind K."""
    if len(stored.shape) == 4:
        return values
    e, index = scene.e, scene.explained.index
    *front, merged, queries, keys = values.shape
    n = index.shape[0]
    heads = merged // n if isinstance(n, int) and isinstance(merged, int) else None
    shape: Shape = [*front, n, heads, queries, keys]
    sizes = [e.ints(*(int(dim) for dim in front))] if front else []
    target = e.concat([*sizes, e.dim(index, 0), e.ints(-1, int(queries), int(keys))], -1)
    return e.op("Reshape", values, target, shape=shape)
