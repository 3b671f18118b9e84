"""A volume: what a model of three spatial axes is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxcam.errors import VolumeError


@dataclass(frozen=True, eq=False)
class Volume:
    """Values on a grid, in the axis order of the file that they come from.

    `values` is float32 (D, H, W, C). `affine`, float64 (4, 4), takes a voxel's indices to the
    world in millimetres, RAS+ as in NIfTI (to the right, to the front, upwards); None where the
    file says nothing. Raises `VolumeError` for other shapes and types.
    """

    values: NDArray[np.float32] = field(repr=False)
    affine: NDArray[np.float64] | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.dtype != np.float32 or not self.values.size:
            raise VolumeError(
                f"a volume of {self.values.dtype} {self.values.shape}; "
                "give float32 (D, H, W, C), or use as_volume"
            )
        if self.affine is not None and self.affine.shape != (4, 4):
            raise VolumeError(f"an affine of shape {self.affine.shape}; give (4, 4), or None")

    @property
    def size(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        depth, height, width, _ = self.values.shape
        return depth, height, width
