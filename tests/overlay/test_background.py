"""What counts as background around a scan."""

from __future__ import annotations

import numpy as np
from graphs import photo

from onnxcam.overlay.background import background


def scan(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grey disc with a black hole in it on noise, and where it is."""
    y, x = np.mgrid[-32:32, -32:32]
    disc, hole = x**2 + y**2 < 24**2, x**2 + y**2 < 6**2
    grey = np.where(disc & ~hole, 140, noise * ~hole).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2), disc


def test_on_black_it_is_what_is_exactly_black() -> None:
    picture, _ = scan(np.zeros((64, 64)))
    np.testing.assert_array_equal(background(picture), (picture == 0).all(axis=2))


def test_on_noise_it_is_what_hangs_together_with_the_edge() -> None:
    noise = np.clip(np.random.default_rng(0).normal(0, 8, (64, 64)), 0, None)
    picture, disc = scan(noise)
    found = background(picture)
    assert (found == ~disc).mean() > 0.98
    assert not found[28:36, 28:36].any()  # the hole is inside
    assert found[~disc].mean() > 0.98  # specks of noise are no holes in it


def test_a_photograph_has_none() -> None:
    assert not background(photo() // 2 + 60).any()
