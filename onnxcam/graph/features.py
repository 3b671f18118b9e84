"""Feature maps: tensors that still know where in the picture they are."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.graph.emitter import Emitter
from onnxcam.graph.roles import Roles


@dataclass(frozen=True)
class FeatureMap:
    """A tensor with one batch axis, one channel axis, and spatial axes or a row of tokens.

    Axes are negative, so that they hold for cotangents with leading axes too.
    """

    tensor: gs.Tensor
    channel: int
    spatial: tuple[int, ...]
    grid: tuple[int, ...] = ()
    prefix: int = 0
    suffix: int = 0

    @property
    def is_tokens(self) -> bool:
        return bool(self.grid)

    @property
    def size(self) -> list[int | str | None]:
        """Spatial size of the heatmap: the grid's for tokens."""
        if self.is_tokens:
            return list(self.grid)
        return [self.tensor.shape[axis] for axis in self.spatial]

    @property
    def layout(self) -> str:
        """ "NCHW", "NHWC", "NTC" and the like."""
        rank = len(self.tensor.shape)
        letters = ["N"] * rank
        letters[self.channel] = "C"
        names = "T" if self.is_tokens else "DHW"[-len(self.spatial) :]
        if len(self.spatial) == 1 and not self.is_tokens:
            names = "W"
        for axis, name in zip(self.spatial, names, strict=True):
            letters[axis] = name
        return "".join(letters)


def as_feature_map(tensor: gs.Tensor, roles: Roles | None) -> FeatureMap | None:
    """The tensor as a feature map, or None when it has no place in the picture (any more)."""
    if roles is None or tensor.shape is None or len(roles.letters) != len(tensor.shape):
        return None
    letters, rank = roles.letters, len(roles.letters)
    if letters.count("C") != 1 or letters[0] != "N":
        return None
    at = {letter: letters.index(letter) - rank for letter in letters if letter not in "1?"}
    rest = set(letters[1:]) - {"C"}
    if rest == {"T"}:
        if not roles.grid or all(dim == 1 for dim in roles.grid):
            return None
        return FeatureMap(tensor, at["C"], (at["T"],), roles.grid, roles.prefix, roles.suffix)
    spatial = [at[letter] for letter in "DHW" if letter in at]
    if not spatial or rest - set("DHW") or all(tensor.shape[axis] == 1 for axis in spatial):
        return None
    return FeatureMap(tensor, at["C"], tuple(spatial))


def without_extra_tokens(e: Emitter, values: gs.Tensor, features: FeatureMap) -> gs.Tensor:
    """Activations or their cotangent without class, distillation and register tokens.

    They have no place in the picture; every reference drops them before it averages.
    """
    if not features.prefix and not features.suffix:
        return values
    axis = features.spatial[0]
    if values.shape[axis] == 1:  # lazy: the same for all tokens
        return values
    length = features.tensor.shape[axis]
    return e.slice(values, axis, features.prefix, length - features.suffix)
