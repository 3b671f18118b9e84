"""The pictures of the volume write-up, drawn with Matplotlib's colours and OpenCV."""

import cv2
import matplotlib
import numpy as np

DROPPED, GREY, WEIGHT, TIMES = 0.3, 80, 0.4, 4
"""The fusion's: heat below is dropped, colours darker are, weight of the colours, enlargement."""


def enlarged(heat: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map at the volume's size: linear, pixel centres at halves, edges held."""
    for axis, wanted in enumerate(size):
        length = heat.shape[axis]
        at = np.clip((np.arange(wanted) + 0.5) * length / wanted - 0.5, 0, length - 1)
        low = np.minimum(at.astype(int), length - 2)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(heat.ndim)])
        below, above = (np.take(heat, low + step, axis) for step in (0, 1))
        heat = below * (1 - share) + above * share
    return heat


def slice_of(volume: np.ndarray, index: int) -> np.ndarray:
    """`volume[:, index, :]`, turned by 90 degrees: (W, D)."""
    return np.rot90(volume[:, index, :])


def coloured(values: np.ndarray, colormap: str) -> np.ndarray:
    """Values in [0, 1] in Matplotlib's colours, uint8 RGB.

    0 and 1 are the volume's least and greatest value; `imshow` without limits would stretch each
    slice to its own.
    """
    return matplotlib.colormaps[colormap](values, bytes=True)[..., :3]


def panels(values: np.ndarray, heat: np.ndarray) -> dict[str, np.ndarray]:
    """The four panels: slice in `bone`, heat in `rainbow`, and the heat on it at 0.7 and 0.3."""
    anatomy, colours = coloured(values, "bone"), coloured(heat, "rainbow")
    laid = {
        f"overlay_{alpha}": np.rint(alpha * colours + (1 - alpha) * anatomy).astype(np.uint8)
        for alpha in (0.7, 0.3)
    }
    return {"slice": anatomy, "heatmap": colours, **laid}


def fusion(values: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The anatomy at full strength with the warm part of the heat added, four times as large.

    Background is where the slice is exactly 0, and white; the slice is grey. Heat below 0.3 counts
    as none; of the colours in `rainbow` those of a grey level above 80 are added with weight 0.4
    and cut off at 255.
    """
    grey = np.uint8(values * 255)
    grey[values == 0] = 255
    anatomy = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    colours = np.ascontiguousarray(coloured(np.where(heat < DROPPED, 0, heat), "rainbow"))
    colours[cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY) <= GREY] = 0
    fused = cv2.addWeighted(anatomy, 1.0, colours, WEIGHT, 0)
    return cv2.resize(fused, None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_CUBIC)
