"""Weights that any machine can draw again from their names.

Full-size networks are too heavy to commit. Their parameters are drawn instead, each from its own
legacy `RandomState` stream (numpy guarantees those bit for bit), so a framework and a test without
one hold the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

LIFT = 1.5
"""How many deviations above zero the input of a ReLU is centred, for the reason `raised` gives."""


@dataclass(frozen=True)
class Draw:
    """A float32 array, uniform between `low` and `high`, decided by its name."""

    name: str
    shape: tuple[int, ...]
    low: float
    high: float

    def values(self) -> np.ndarray:
        """The array itself. The arithmetic is spelled out so that it cannot drift."""
        stream = np.random.RandomState(crc32(self.name.encode()))
        unit = stream.random_sample(self.shape).astype(np.float32)
        unit *= np.float32(self.high - self.low)
        unit += np.float32(self.low)
        return unit


def spread(name: str, shape: Sequence[int], std: float) -> Draw:
    """Weights around zero with the given standard deviation."""
    bound = float(std * np.sqrt(3.0))
    return Draw(name, tuple(shape), -bound, bound)


def kernel(name: str, shape: Sequence[int], fan_in: int) -> Draw:
    """Weights that keep the variance through a ReLU (He et al. 2015)."""
    return spread(name, shape, float(np.sqrt(2.0 / fan_in)))


def positive(name: str, shape: Sequence[int]) -> Draw:
    """Scales of a normalisation."""
    return Draw(name, tuple(shape), 0.4, 0.8)


def raised(name: str, shape: Sequence[int]) -> Draw:
    """Offsets of a normalisation that a ReLU follows: two or three standard deviations up.

    The derivative of a ReLU jumps at zero. Millions of values sit around it in a network that is
    centred there, some so close that rounding decides their sign, and float32 maps then scatter by
    a percent. Raised, most pass and some are cut, and hardly any is undecided.
    """
    return Draw(name, tuple(shape), 1.0, 2.0)


def shift(name: str, shape: Sequence[int]) -> Draw:
    """Other biases: around zero."""
    return Draw(name, tuple(shape), -0.1, 0.1)
