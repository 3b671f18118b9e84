"""Tokens whose place in the picture is said, not found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from onnxcam.errors import LayerError
from onnxcam.graph.dims import Dim
from onnxcam.graph.features import FeatureMap, as_feature_map
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input
from onnxcam.graph.roles import Roles

Grid = tuple[int, ...]
"""Height and width of the picture in tokens (depth in front of them, width alone)."""


@dataclass(frozen=True)
class OnGrid:
    """A layer, or several, with the grid that its tokens tile, row by row.

    All tokens that are too many for the grid stand in front of it: class and register tokens.
    """

    layer: str | int | Sequence[str | int] | None
    grid: Grid

    def __post_init__(self) -> None:
        if not 1 <= len(self.grid) <= 3 or not all(_is_length(size) for size in self.grid):
            raise LayerError(
                f"a grid is the height and width of the picture in tokens, (14, 14) say, "
                f"not {self.grid!r}"
            )


Layer = str | int | Sequence[str | int] | OnGrid | None


def placed(layer: Layer, grid: Sequence[int] | None) -> Layer:
    """A layer with its grid, where one is given."""
    return layer if grid is None or isinstance(layer, OnGrid) else OnGrid(layer, tuple(grid))


def _is_length(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


def on_grid(features: FeatureMap, grid: Grid) -> FeatureMap:
    """A row of tokens on a stated grid of as many places as the one that was found.

    Raises `LayerError` where it is no row of tokens, or has another number of them.
    """
    if features.grid == grid:
        return features
    if not features.is_tokens or math.prod(features.grid) != math.prod(grid):
        own = f"has {shown(features.size)} tokens" if features.is_tokens else "has no tokens"
        raise LayerError(
            f"layer '{features.tensor.name}' ({features.layout}) {own}, so it cannot be laid on a "
            f"grid of {shown(grid)}; leave the grid out"
        )
    return replace(features, grid=grid)


def tokens_on_grid(tensor: gs.Tensor, grid: Grid) -> FeatureMap | None:
    """A tensor (N, T, C), or (N, C, T), as tokens on a grid; None where it has too few."""
    if tensor.shape is None or len(tensor.shape) != 3:
        return None
    for token, channel in ((-2, -1), (-1, -2)):
        length, places = tensor.shape[token], math.prod(grid)
        if isinstance(length, int) and length >= places:
            return FeatureMap(tensor, channel, (token,), grid, length - places)
    return None


def candidate(
    network: Network, tensor: gs.Tensor, roles: Roles | None, grid: Grid | None
) -> FeatureMap | None:
    """Any tensor as a feature map; with a stated grid, tokens of each picture are one too."""
    features = as_feature_map(tensor, roles)
    if grid is None or features is not None:
        return features
    picture = network.tensors[find_image_input(network).name]
    alike = tensor.shape is not None and tensor.shape[:1] == list(picture.shape[:1])
    return tokens_on_grid(tensor, grid) if alike else None


def named_feature_map(
    tensor: gs.Tensor, roles: Roles | None, grid: Grid | None
) -> FeatureMap | None:
    """A tensor that was asked for as a feature map, on a stated grid where there is one.

    Raises `LayerError` where the grid does not fit.
    """
    features = as_feature_map(tensor, roles)
    if grid is None:
        return features
    return tokens_on_grid(tensor, grid) if features is None else on_grid(features, grid)


def shown(grid: Iterable[Dim]) -> str:
    """A grid as the command line takes it."""
    return "x".join(str(size) for size in grid)
