"""Volumes: which slice, which way round, which values."""

from __future__ import annotations

import numpy as np
import pytest

from onnxcam.errors import VolumeError
from onnxcam.overlay import Look, View, colorize, draw, render
from onnxcam.overlay.slices import slices
from onnxcam.volumes import Volume

SIZE = (6, 8, 10)
HOT = (4, 2, 7)


def volume(channels: int = 1, affine: np.ndarray | None = None) -> Volume:
    values = np.random.default_rng(0).random((*SIZE, channels)).astype(np.float32)
    return Volume(values * 3 - 1, affine)


def heat() -> np.ndarray:
    grid = np.stack(np.meshgrid(*map(np.arange, SIZE), indexing="ij"), -1)
    away = np.linalg.norm(grid - np.array(HOT), axis=-1)
    return np.asarray(np.exp(-away / 3), np.float32)


def level(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("rotate", [0, 1, 2, 3, -1, 5])
def test_a_slice_is_numpys(axis: int, rotate: int) -> None:
    one = slices(volume(), heat(), Look(), View(axis=axis, index=3, rotate=rotate))[0]
    values = volume().values[..., 0]
    cut = np.rot90(np.take(values, 3, axis), rotate)
    expected = 255 * level(cut, values.min(), values.max())
    np.testing.assert_allclose(one.picture[..., 0], expected, atol=1.01)
    np.testing.assert_array_equal(one.heat, np.rot90(np.take(heat(), 3, axis), rotate))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("rotate", [0, 1, 2, 3])
def test_the_hottest_voxel_turns_with_its_slice(axis: int, rotate: int) -> None:
    one = slices(volume(), heat(), Look(), View(axis=axis, rotate=rotate))[0]
    assert one.heat[one.hottest] == heat().max()


def test_the_slice_is_the_one_asked_for_or_the_hottest() -> None:
    def number(**how: object) -> str:
        return slices(volume(), heat(), Look(), View(axis=1, **how))[0].caption

    assert number() == "axis 1: 2 of 8"
    assert number(index=5) == "axis 1: 5 of 8"
    assert number(index=-1) == "axis 1: 7 of 8"
    assert number(index="middle") == "axis 1: 4 of 8"


def test_heat_that_is_the_same_everywhere_shows_the_middle() -> None:
    found = slices(volume(), np.zeros(SIZE, np.float32), Look(), View("planes"))
    assert [one.caption for one in found] == [
        "axis 0: 3 of 6",
        "axis 1: 4 of 8",
        "axis 2: 5 of 10",
    ]


@pytest.mark.parametrize("index", [6, -7])
def test_a_slice_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(VolumeError, match=f"no slice {index} across axis 0: there are 6"):
        render(volume(), heat(), Look(), View(index=index))


def test_heat_of_another_size_is_refused() -> None:
    with pytest.raises(VolumeError, match="size"):
        render(volume(), heat()[1:], Look(), View())


def test_a_montage_is_evenly_spread_and_has_the_hottest_slice() -> None:
    found = slices(volume(), heat(), Look(), View("montage", axis=2, count=4))
    numbers = [int(one.caption.split()[2]) for one in found]
    assert numbers == [1, 3, 7, 8]
    every = slices(volume(), heat(), Look(), View("montage", axis=0, count=50))
    assert [int(one.caption.split()[2]) for one in every] == list(range(6))


def test_one_slice_is_drawn_in_voxels() -> None:
    look, view = Look("sum", "jet", base="bone"), View(axis=1, index=3, rotate=1)
    one = slices(volume(), heat(), look, view)[0]
    np.testing.assert_array_equal(
        render(volume(), heat(), look, view), draw(one.picture, one.heat, look)
    )
    values = volume().values[:, 3, :, 0]
    unit = level(np.rot90(values), volume().values.min(), volume().values.max())
    difference = one.picture.astype(int) - colorize(unit.astype(np.float32), "bone")
    assert abs(difference).max() <= 1


def test_the_window_says_what_is_black_and_white() -> None:
    one = slices(volume(), heat(), Look(), View(index=3, window=(0.0, 1.0)))[0]
    expected = 255 * level(volume().values[3, ..., 0], 0, 1)
    np.testing.assert_allclose(one.picture[..., 0], expected, atol=1.01)


def test_only_the_least_value_is_black() -> None:
    values = np.array([0, 1, 1000, 1000], np.float32).reshape(1, 2, 2, 1)
    one = slices(Volume(values), np.zeros((1, 2, 2), np.float32), Look(), View())[0]
    assert one.picture[0, 0, 0] == 0
    assert one.picture[0, 1, 0] == 1


def test_three_channels_are_colours_and_of_others_the_first_is_shown() -> None:
    colors = slices(volume(3), heat(), Look(), View(index=3))[0].picture
    values = volume(3).values
    expected = 255 * level(values[3], values.min(), values.max())
    np.testing.assert_allclose(colors, expected, atol=1.01)
    two = slices(volume(2), heat(), Look(), View(index=3))[0].picture
    values = volume(2).values
    expected = 255 * level(values[3, ..., 0], values.min(), values.max())
    np.testing.assert_allclose(two[..., 0], expected, atol=1.01)


@pytest.mark.filterwarnings("error")
def test_values_that_are_no_numbers_are_dark() -> None:
    values = volume().values.copy()
    values[3, 2, 2] = np.nan
    one = slices(Volume(values), heat(), Look(), View(index=3))[0]
    assert one.picture[2, 2, 0] == 0
    nothing = Volume(np.full((*SIZE, 1), np.nan, np.float32))
    assert (slices(nothing, heat(), Look(), View())[0].picture == 0).all()


def test_slices_are_named_after_the_worlds_axes() -> None:
    affine = np.zeros((4, 4))
    affine[[2, 0, 1, 3], [0, 1, 2, 3]] = (3, -1, 1, 1)
    found = slices(volume(affine=affine), heat(), Look(), View("planes"))
    names = [one.caption.split()[0] for one in found]
    assert names == ["axial", "sagittal", "coronal"]
    assert [one.pixel for one in found] == [(1, 1), (3, 1), (3, 1)]


def test_planes_are_in_the_proportions_of_the_world() -> None:
    thick = np.diag([4.0, 1.0, 1.0, 1.0])
    sheet = render(volume(affine=thick), heat(), Look("heatmap", "gray"), View("planes"))
    plain = render(volume(), heat(), Look("heatmap", "gray"), View("planes"))
    # Sagittal is 8 x 10, coronal 24 x 10, axial 24 x 8; without an affine 8 x 10, 6 x 10, 6 x 8.
    assert sheet.shape[0] > sheet.shape[1] * 0.6
    assert plain.shape[0] < plain.shape[1] * 0.5


def test_lines_cross_at_the_hottest_voxel_and_leave_it_free() -> None:
    crossed = render(volume(), heat(), Look("heatmap", "gray"), View("planes"))
    white = (crossed == 255).all(axis=2)
    black = (crossed == 0).all(axis=2)
    assert white.any()
    assert black.sum() > 500
    montage = render(volume(), heat(), Look("heatmap", "gray"), View("montage", count=3))
    assert (montage == 0).all(axis=2).sum() < black.sum()
