"""LeGrad."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError
from onnxcam.methods.attention.base import OverAttentions, attentions_of, on_picture
from onnxcam.methods.attention.blocks import blocks_of
from onnxcam.methods.attention.probabilities import probabilities
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
@dataclass(frozen=True)
class LeGrad(OverAttentions):
    """How sensitive a class is to each layer's attention to each patch, averaged over layers.

    The score of layer l is what the head would make of that layer's tokens: everything behind the
    last block (final normalisation, pooling, classifier) is applied to the output of block l. The
    map is the positive part of that score's gradient with respect to the attention of block l,
    averaged over heads and queries, in the patches' columns; then averaged over the last `last`
    layers (None: all of them, as in the paper; the authors' code takes two).

    Deviations. The authors' code explains CLIP, and pools the tokens of every layer by their mean
    though the model reads its class token; here the model's own head says what is read, as in the
    paper. Where an attention pools the tokens, the paper differentiates with respect to that; here
    the layers' own attentions are kept to, through the pooling. The gradient at the score is that
    of the model's own output for every layer: it matters for score="probability" only.
    """

    last: int | None = None

    name = "legrad"
    title = "LeGrad"
    formula = "mean_l mean_hi ReLU(d score(Z_l) / d A_l[h, i, :])"
    paper = "Bousselham et al. 2024, arXiv:2404.03214"
    needs = ("gradient", "attention")
    cost = "2"

    def __post_init__(self) -> None:
        if self.last is not None and self.last < 1:
            raise MethodError(f"last is a number of layers from 1 on, not {self.last}")

    def emit(self, scene: Scene) -> gs.Tensor:
        e, found = scene.e, attentions_of(scene)
        seeds = dict(scene.explained.seeds)
        blocks = blocks_of(e, found, seeds)
        opened = probabilities(scene, found.all)
        count = len(blocks.outputs)
        maps = []
        for block in range(count if self.last is None else min(self.last, count)):
            own = blocks.seeds(e, count - 1 - block, seeds)
            positive = e.unary("Relu", opened[count - 1 - block].gradient(own))
            maps.append(e.reduce("ReduceMean", positive, [-3, -2]))
        total = functools.reduce(e.add, maps)
        return on_picture(scene, found, e.squeeze(e.div(total, float(len(maps))), [-3]))
