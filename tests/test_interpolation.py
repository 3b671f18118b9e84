"""Interpolation, against OpenCV and NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxcam.interpolation import (
    KERNELS,
    _along,
    area_weights,
    corner_weights,
    enlarged,
    interpolated,
    linear_weights,
    weights_at,
)

LENGTHS = [(1, 5), (4, 4), (4, 9), (7, 3)]


@pytest.mark.parametrize(("old", "new"), LENGTHS)
def test_side_to_side_it_is_opencvs(old: int, new: int) -> None:
    row = np.random.default_rng(0).standard_normal((1, old)).astype(np.float32)
    expected = cv2.resize(row, (new, 1), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(enlarged(row, (new,)), expected, atol=1e-6)
    np.testing.assert_allclose(interpolated(row, [linear_weights(old, new)]), expected, atol=1e-6)


@pytest.mark.parametrize(("old", "new"), LENGTHS)
def test_corner_to_corner_it_is_numpys(old: int, new: int) -> None:
    row = np.random.default_rng(0).standard_normal((1, old)).astype(np.float32)
    expected = np.interp(np.linspace(0, old - 1, new), np.arange(old), row[0])
    found = interpolated(row, [corner_weights(old, new)])
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_a_volume_is_enlarged_along_every_axis() -> None:
    """A function that is linear in each coordinate is met exactly between the samples."""
    old, new = (3, 4, 2), (6, 8, 6)
    lengths = zip(old, new, strict=True)
    places = [((np.arange(n) + 0.5) * o / n - 0.5).clip(0, o - 1) for o, n in lengths]
    found = enlarged(_product(*(np.arange(o) for o in old))[None], new)
    np.testing.assert_allclose(found[0], _product(*places), rtol=1e-5)


def _product(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (1 + x)[:, None, None] * (2 - y)[:, None] * (3 + z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_in_front_and_the_type_stay(dtype: type) -> None:
    values = np.random.default_rng(1).random((2, 5, 4, 3)).astype(dtype)
    found = enlarged(values, (8, 9))
    assert found.shape == (2, 5, 8, 9)
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[1, 3], enlarged(values[1, 3], (8, 9)))


def test_the_same_size_changes_nothing() -> None:
    values = np.random.default_rng(2).standard_normal((2, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(enlarged(values, (4, 5)), values)


def middles(old: int, new: int) -> np.ndarray:
    """Where the middles of `new` pixels lie among `old` ones."""
    return (np.arange(new) + 0.5) * old / new - 0.5


@pytest.mark.parametrize(("old", "new"), [*LENGTHS, (7, 224), (3, 50)])
def test_cubic_is_opencvs(old: int, new: int) -> None:
    row = np.random.default_rng(3).standard_normal((1, old)).astype(np.float32)
    expected = cv2.resize(row, (new, 1), interpolation=cv2.INTER_CUBIC)
    found = interpolated(row, [weights_at(middles(old, new), old, "cubic")])
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(("old", "new"), [(9, 3), (7, 3), (10, 4), (5, 5)])
def test_area_is_opencvs(old: int, new: int) -> None:
    row = np.random.default_rng(4).standard_normal((1, old)).astype(np.float32)
    expected = cv2.resize(row, (new, 1), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(interpolated(row, [area_weights(old, new)]), expected, atol=1e-5)


def test_nearest_takes_one_sample() -> None:
    weights = weights_at(np.array([-3, 0.4, 0.6, 2.2, 9]), 3, "nearest")
    np.testing.assert_array_equal(weights.argmax(0), [0, 0, 1, 2, 2])
    assert set(weights.ravel()) == {0, 1}


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_add_up_to_one_wherever_the_place(kernel: str) -> None:
    weights = weights_at(np.linspace(-5, 12, 41), 7, kernel)
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-6)


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(0, 40),
    st.sampled_from(KERNELS),
    st.integers(-2, -1),
    st.integers(0, 10),
)
def test_blocks_along_the_band_are_the_product_of_the_matrices(
    old: int, new: int, kernel: str, axis: int, unseen: int
) -> None:
    weights = weights_at((np.arange(new) + 0.5) * old / max(new, 1) - 0.5, old, kernel)
    weights[:, :unseen] = 0
    beside = 600  # so that few new samples are a block
    shape = (beside, old) if axis == -1 else (old, beside)
    values = np.random.default_rng(old).standard_normal(shape).astype(np.float32)
    product = values @ weights if axis == -1 else weights.T @ values
    found = interpolated(values, [weights]) if axis == -1 else _along(values, weights, axis)
    assert (found.shape, found.dtype) == (product.shape, np.float32)
    np.testing.assert_allclose(found, product, rtol=0, atol=1e-5)
