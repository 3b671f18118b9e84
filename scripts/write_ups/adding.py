"""Heat on a picture as scripts around OpenCV draw it."""

import cv2
import numpy as np


def with_heat(picture: np.ndarray, heat: np.ndarray, hot: float, own: float) -> np.ndarray:
    """JET * `hot` + picture * `own`: uint8 RGB of the picture's size.

    The heat, float in [0, 1], is enlarged linearly; the sum is rounded and cut off at 255, as
    `cv2.imwrite` stores it.
    """
    height, width = picture.shape[:2]
    large = cv2.resize(heat, (width, height))
    colours = cv2.applyColorMap(np.uint8(255 * large), cv2.COLORMAP_JET)[..., ::-1]
    return cv2.convertScaleAbs(colours * hot + picture * own)
