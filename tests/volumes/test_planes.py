"""Slices in any order and direction make the volume that they were cut from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxcam.errors import VolumeError
from onnxcam.volumes.planes import Plane, stack


def cut(rng: np.random.Generator, count: int, gap: float) -> list[Plane]:
    """Planes `gap` apart, in a direction drawn at random; from the first along the normal on."""
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    directions, spacing = turned[:2], rng.uniform(0.1, 4, 2)
    start, normal = rng.uniform(-500, 500, 3), np.cross(*directions)
    places = [start + gap * k * normal for k in range(count)]
    return [Plane(f"{k}", place, directions, spacing) for k, place in enumerate(places)]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 12),
    gap=st.floats(0.05, 20),
)
def test_any_order_gives_the_same_volume(seed: int, count: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    planes = cut(rng, count, gap)
    mixed = [planes[index] for index in rng.permutation(count)]
    order, affine = stack(mixed, "series")
    assert [mixed[index].name for index in order] == [plane.name for plane in planes]
    for index, plane in enumerate(planes):
        row, column = rng.uniform(0, 100, 2)
        at = (
            plane.position
            + plane.directions[0] * plane.spacing[1] * column
            + plane.directions[1] * plane.spacing[0] * row
        )
        world = affine @ [index, row, column, 1]
        np.testing.assert_allclose(world, [-at[0], -at[1], at[2], 1], atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), axis=st.integers(0, 1))
def test_a_flip_moves_the_affine_and_not_the_voxels(seed: int, axis: int) -> None:
    """The same slice written from its other end: every voxel stays where it was."""
    planes = cut(np.random.default_rng(seed), 3, 2.0)
    along, length = 1 - axis, 7  # rows are passed along a column
    flipped = []
    for plane in planes:
        directions = plane.directions.copy()
        step = directions[along] * plane.spacing[axis]
        directions[along] *= -1
        flipped.append(Plane(plane.name, plane.position + step * 6, directions, plane.spacing))
    order, affine = stack(planes, "as it was")
    other_order, other = stack(flipped, "flipped")
    assert other_order == order[::-1]  # the normal has turned round, too
    here, there = np.array([0.0, 1, 2, 1]), np.array([2.0, 1, 2, 1])
    there[1 + axis] = length - 1 - here[1 + axis]
    np.testing.assert_allclose(affine @ here, other @ there, atol=1e-6)


def test_a_slice_alone_has_its_thickness() -> None:
    (plane,) = cut(np.random.default_rng(0), 1, 1.0)
    plane = Plane("", plane.position, plane.directions, plane.spacing, thickness=3.5)
    _, affine = stack([plane], "one")
    np.testing.assert_allclose(affine[:3, 0], 3.5 * plane.normal * [-1, -1, 1])


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(4, 12), data=st.data())
def test_a_missing_slice_is_an_error(seed: int, count: int, data: st.DataObject) -> None:
    planes = cut(np.random.default_rng(seed), count, 3.0)
    del planes[data.draw(st.integers(1, count - 2))]
    with pytest.raises(VolumeError, match=r"6 mm between .*, 3 mm elsewhere"):
        stack(planes, "series")
