"""Recipro-CAM, of convolutions and of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from onnxcam.errors import MethodError
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network
from onnxcam.methods.base import Searched
from onnxcam.methods.lab import Lab
from onnxcam.methods.registry import register
from onnxcam.methods.search.layer_variants import scores_of_places
from onnxcam.methods.search.variants import as_laid_out, by_channel, scored

_NEIGHBOURHOOD = (0.25, 0.5, 0.25)


def single_places(size: tuple[int, ...]) -> np.ndarray:
    """One mask a place, 1 there and 0 elsewhere, (places, *size)."""
    places = int(np.prod(size))
    return np.eye(places, dtype=np.float32).reshape(places, *size)


def neighbourhoods(size: tuple[int, ...]) -> np.ndarray:
    """One mask a place, a Gaussian of three along each axis, (places, *size).

    In two dimensions 1/4 in the middle, 1/8 at the sides, 1/16 at the corners.
    """
    return reduce(np.kron, [_blurred(length) for length in size]).reshape(-1, *size)


def _blurred(length: int) -> np.ndarray:
    left, middle, right = _NEIGHBOURHOOD
    found = middle * np.eye(length) + left * np.eye(length, k=-1) + right * np.eye(length, k=1)
    return found.astype(np.float32)


@register
@dataclass(frozen=True)
class ReciproCAM(Searched):
    """The score of what every place of the layer says alone, all others set to zero.

    The form of OpenVINO XAI: masks of one place, or with `use_gaussian` the paper's 3x3 ones, and
    logits where the paper has softmax outputs. Only what lies behind the layer is run, on its
    means where the head pools it. Class and register tokens, where there are some, stay.
    """

    use_gaussian: bool = False

    name = "reciprocam"
    title = "Recipro-CAM"
    formula = "score of M_p * A at every place p, M_p a mask of p alone"
    paper = "Byun & Lee 2022, arXiv:2209.14074"
    needs = ("forward only",)
    cost = "places, of what is behind the layer"
    runs_behind = True

    def search(self, lab: Lab) -> np.ndarray:
        size = by_channel(lab.features, lab.activations).shape[2:]
        masks = neighbourhoods(size) if self.use_gaussian else single_places(size)
        return np.asarray(scores_of_places(lab, masks).T.reshape(-1, *size), np.float32)


@register
@dataclass(frozen=True)
class ViTReciproCAM(Searched):
    """The score of what every token says alone or with its neighbours, beside the class token.

    The form of OpenVINO XAI, for a layer whose tokens go into attention: the automatic choice, the
    normalised input of the last block, is its own. What skips the layer is masked alike. With
    `use_gaussian` a mask takes in the neighbours, without `cls_token` the class and register
    tokens are set to zero. (Where the grid is not square or there are several extra tokens,
    OpenVINO XAI takes the wrong ones.)
    """

    use_gaussian: bool = True
    cls_token: bool = True

    name = "vitreciprocam"
    title = "ViT-ReciproCAM"
    formula = "score of M_p * A at every token p, M_p a 3x3 Gaussian around p"
    paper = "Byun & Lee 2023, arXiv:2310.02588"
    needs = ("forward only", "tokens")
    cost = "tokens, of what is behind the layer"
    runs_behind = True

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        found = super().layers(network, spec)
        for layer in found:
            if not layer.features.is_tokens:
                raise MethodError(
                    f"{self.name} needs tokens, and layer '{layer.name}' is a feature map "
                    f"{layer.features.layout}; use reciprocam"
                )
        return found

    def search(self, lab: Lab) -> np.ndarray:
        grid = lab.features.grid
        masks = neighbourhoods(grid) if self.use_gaussian else single_places(grid)
        extra = 1.0 if self.cls_token else 0.0
        skips = {
            name: (features, value)
            for name, (features, value) in lab.skips.items()
            if features.grid == grid
        }

        def scores(factors: np.ndarray) -> np.ndarray:
            own = lab.activations * as_laid_out(lab.features, factors, extra)
            return lab.head_scores(
                own,
                {
                    name: value * as_laid_out(features, factors, extra).astype(value.dtype)
                    for name, (features, value) in skips.items()
                },
            )

        found = scored(len(masks), lambda part: masks[part], scores)
        return np.asarray(found.T.reshape(-1, *grid), np.float32)
