"""Attention rollout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError
from onnxcam.graph.emitter import Emitter
from onnxcam.methods.attention.base import (
    OverAttentions,
    attentions_of,
    heads_mean,
    on_picture,
    reading_row,
)
from onnxcam.methods.attention.probabilities import probabilities
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene

FUSIONS = ("mean", "max", "min")


@register
@dataclass(frozen=True)
class Rollout(OverAttentions):
    """How much of each patch reaches the tokens that the head reads, layer after layer.

    A layer passes on (A + I) / 2, A the attention averaged over heads, the rest being the
    residual connection; the layers' matrices are multiplied. It is the same for every class.

    `fusion` takes the heads' "max" or "min" instead of their mean, and `discard` leaves out that
    share of each layer's smallest attentions (never the class token's to itself); both are of
    jacobgil's vit-explain, whose defaults here are the paper's. Ties at its limit all stay.

    Deviations. Paper and implementations read the class token's row. Here the rows that the head
    reads are averaged: class and distillation token (DeiT), all patches (mean pooling); where an
    attention pools them, its own row comes first. Rows are normalised again after max, min or
    discard; vit-explain then divides columns by the rows' sums.
    """

    fusion: str = "mean"
    discard: float = 0.0

    name = "rollout"
    title = "Attention rollout"
    formula = "row of prod_l (mean_h A_l + I) / 2 that the head reads"
    paper = "Abnar & Zuidema 2020, arXiv:2005.00928"
    needs = ("forward only", "attention")
    cost = "1"

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise MethodError(f"fusion is {', '.join(FUSIONS)}, not {self.fusion!r}")
        if not 0 <= self.discard < 1:
            raise MethodError(f"discard is a share from 0 to below 1, not {self.discard}")

    def emit(self, scene: Scene) -> gs.Tensor:
        e, found = scene.e, attentions_of(scene)
        fused = [self._fused(e, one.tensor) for one in probabilities(scene, found.all)]
        row = reading_row(e, found) if found.pooling is None else fused.pop()
        for attention in reversed(fused):
            # row (A + I) / sum, without the matrix: the rows' sums divide the row instead
            total = e.add(e.reduce("ReduceSum", attention, [-1]), 1.0)
            share = e.div(row, e.transpose(total, (1, 0)))
            row = e.add(e.matmul(share, attention), share)
        return on_picture(scene, found, row)

    def _fused(self, e: Emitter, values: gs.Tensor) -> gs.Tensor:
        """(N, queries, keys): heads as one, the smallest left out."""
        if self.fusion == "mean":
            one = heads_mean(e, values)
        else:
            reduction = "ReduceMax" if self.fusion == "max" else "ReduceMin"
            one = e.reduce(reduction, values, [-3], keepdims=False)
        queries, keys = (int(dim) for dim in one.shape[-2:])
        dropped = int(queries * keys * self.discard)
        if not dropped or queries == 1:
            return one
        kept = queries * keys - dropped
        n = one.shape[0]
        flat = e.op("Reshape", one, e.ints(0, -1), shape=[n, queries * keys])
        largest = e.op("TopK", flat, e.ints(kept), shape=[n, kept], axis=1)
        largest.inputs[0].outputs.append(
            gs.Variable(f"{largest.name}_indices", np.dtype(np.int64), [n, kept])
        )
        limit = e.unsqueeze(e.slice(largest, -1, kept - 1, kept), [-1])
        own = np.zeros((queries, keys), bool)
        own[0, 0] = True
        small = e.less(one, limit)
        small = e.logical_and(small, e.constant(~own))
        return e.where(small, 0.0, one)
