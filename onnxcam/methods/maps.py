"""Maps in hand: scaled, enlarged and fused as `onnxcam.methods.aggregate` emits it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxcam.errors import LayerError
from onnxcam.interpolation import enlarged


def fused(maps: Sequence[np.ndarray], size: tuple[int, ...], fuse: str = "mean") -> np.ndarray:
    """`over_layers` for maps in hand: each (N, K, *its layer's size), to (N, K, *size)."""
    if len(maps) == 1:
        return maps[0]
    units = [resized(unit_range(np.maximum(one, 0)), size) for one in maps]
    return np.asarray(np.max(units, axis=0) if fuse == "max" else np.mean(units, axis=0))


def unit_range(maps: np.ndarray) -> np.ndarray:
    """`in_unit_range` for maps in hand."""
    spatial = tuple(range(2, maps.ndim))
    raised = maps - maps.min(axis=spatial, keepdims=True)
    high = raised.max(axis=spatial, keepdims=True)
    return np.asarray(raised / np.where(high > 0, high, 1), np.float32)


def resized(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """What `onnxcam.methods.resizing` emits, for maps (N, K, ...) in hand.

    Raises `LayerError` when they have another number of spatial axes.
    """
    if maps.ndim != len(size) + 2:
        raise LayerError(
            f"the maps have {maps.ndim - 2} spatial axes, the picture has {len(size)}, so they "
            f"cannot be laid over each other; choose one layer"
        )
    return enlarged(maps, size).astype(np.float32, copy=False)
