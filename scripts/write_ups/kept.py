"""Read what `keep` wrote: numpy, onnx and OpenCV are enough."""

from functools import lru_cache

import cv2
import numpy as np
import onnx
from references.rebuild import RECORDINGS, Reference, build, read

FOLDER = "write_ups"
"""Where the write-ups' recordings are among the others."""


@lru_cache(maxsize=1)
def kept(name: str) -> tuple[Reference, onnx.ModelProto]:
    """A recording and its model; only the latest is kept in memory, they are large."""
    reference = read(f"{FOLDER}/{name}")
    return reference, build(reference)


def picture(name: str, what: str) -> np.ndarray:
    """A picture that the recipe drew: uint8 RGB (H, W, 3)."""
    path = RECORDINGS / FOLDER / name / f"{what}.png"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def levels_away(drawn: np.ndarray, recorded: np.ndarray) -> int:
    """How many grey levels two pictures of the same size are apart at most."""
    assert drawn.dtype == recorded.dtype == np.uint8
    assert drawn.shape == recorded.shape
    return int(np.abs(drawn.astype(int) - recorded).max())
