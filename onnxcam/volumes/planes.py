"""Slices in space: their order, and the affine of the volume that they make.

DICOM PS3.3, C.7.6.2.1.1: the centre of the pixel in row i and column j lies at
position + j * (spacing between columns) * rows + i * (spacing between rows) * columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxcam.errors import VolumeError

_SAME_PLACE = 1e-4
"""Millimetres; DICOM writes positions with at most 16 letters."""

_SAME_DIRECTION = 1e-3
_MISSING = 1.5
"""Times the usual gap: a gap this wide lacks a slice."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Plane:
    """Where a slice lies in the patient: millimetres to the left, to the back, upwards (LPS).

    `position` (3,) is the centre of the first pixel; `directions` (2, 3) unit vectors along a row
    and along a column; `spacing` (2,) between rows and between columns; `thickness` what a slice
    alone is given.
    """

    name: str
    position: NDArray[np.float64]
    directions: NDArray[np.float64]
    spacing: NDArray[np.float64]
    thickness: float = 1.0

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.directions[0], self.directions[1])


def stack(planes: Sequence[Plane], name: str) -> tuple[list[int], NDArray[np.float64]]:
    """The order of the slices along their normal, and the affine of (slice, row, column) to RAS+.

    Raises `VolumeError` for slices that make no volume: of different directions or spacing, in
    one place, or with one missing between them.
    """
    first = planes[0]
    _refuse_differences(planes, name)
    places = np.array([plane.position @ first.normal for plane in planes])
    order = [int(index) for index in np.argsort(places, kind="stable")]
    step = first.normal * first.thickness
    if len(order) > 1:
        _refuse_gaps([planes[index] for index in order], places[order], name)
        # The mean, and not along the normal alone: a tilted gantry shears the volume.
        step = (planes[order[-1]].position - planes[order[0]].position) / (len(order) - 1)
    along_row, along_column = first.directions
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = along_column * first.spacing[0]
    affine[:3, 2] = along_row * first.spacing[1]
    affine[:3, 3] = planes[order[0]].position
    return order, _LPS_TO_RAS @ affine


def _refuse_differences(planes: Sequence[Plane], name: str) -> None:
    first = planes[0]
    if abs(np.linalg.norm(first.normal) - 1) > 10 * _SAME_DIRECTION or (first.spacing <= 0).any():
        raise VolumeError(f"{name}: no directions or spacing of pixels in {first.name}")
    for plane in planes[1:]:
        if not np.allclose(plane.directions, first.directions, rtol=0, atol=_SAME_DIRECTION):
            what = "in different directions"
        elif not np.allclose(plane.spacing, first.spacing, rtol=_SAME_DIRECTION, atol=0):
            what = "of different pixel spacing"
        else:
            continue
        raise VolumeError(f"{name}: {first.name} and {plane.name} are {what}; keep one stack")


def _refuse_gaps(planes: Sequence[Plane], places: NDArray[np.float64], name: str) -> None:
    """Planes and their places along the normal, in order."""
    gaps = np.diff(places)
    close = int(gaps.argmin())
    if gaps[close] < _SAME_PLACE:
        raise VolumeError(
            f"{name}: {planes[close].name} and {planes[close + 1].name} lie in the same place: "
            "several volumes (times, echoes, reconstructions) in one; keep one of them"
        )
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]
    wide = int(gaps.argmax())
    if gaps[wide] > _MISSING * usual:
        raise VolumeError(
            f"{name}: {gaps[wide]:g} mm between {planes[wide].name} and {planes[wide + 1].name}, "
            f"{usual:g} mm elsewhere: a slice is missing; copy the whole series again"
        )
