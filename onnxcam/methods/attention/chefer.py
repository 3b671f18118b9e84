"""Chefer's relevance of self-attention."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter
from onnxcam.methods.attention.base import (
    OverAttentions,
    attentions_of,
    heads_mean,
    on_picture,
    reading_row,
)
from onnxcam.methods.attention.probabilities import Probabilities, probabilities
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class Chefer(OverAttentions):
    """Relevance of each patch for a class: attention weighted by its gradient, layer after layer.

    R starts as the identity; a layer adds its attention's positive part of gradient times
    probability, averaged over heads, times R. The map is the row of R that the head reads, in the
    patches' columns: rules 5 and 6 of the paper, as its notebook for ViT applies them.

    Deviations. The paper reads the class token's row. Here the rows that the head reads are
    averaged: class and distillation token (DeiT), all patches (mean pooling); where an attention
    pools them, its own weighted row, multiplied by R, takes their place. The same authors' earlier
    "Transformer attribution" (arXiv:2012.09838) propagates relevance by LRP instead.
    """

    name = "chefer"
    title = "Generic attention explainability"
    formula = "R = prod_l (I + mean_h ReLU(dA_l * A_l)), the row that the head reads"
    paper = "Chefer et al. 2021, arXiv:2103.15679"
    needs = ("gradient", "attention")
    cost = "2"

    def emit(self, scene: Scene) -> gs.Tensor:
        e, found = scene.e, attentions_of(scene)
        opened = probabilities(scene, found.all)
        row = reading_row(e, found) if found.pooling is None else _relevant(e, opened.pop())
        for one in reversed(opened):
            row = e.add(row, e.matmul(row, _relevant(e, one)))
        return on_picture(scene, found, row)


def _relevant(e: Emitter, attention: Probabilities) -> gs.Tensor:
    """mean_h ReLU(dA * A): (N, queries, keys), behind K."""
    weighted = e.mul(attention.gradient(), attention.tensor)
    return heads_mean(e, e.unary("Relu", weighted))
