"""Heat on pictures, volumes and signals."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from onnxcam.errors import OnnxCamError
from onnxcam.images import Picture
from onnxcam.overlay.colormaps import COLORMAPS, DEFAULT_COLORMAP, colorize
from onnxcam.overlay.drawing import draw
from onnxcam.overlay.look import LAYOUTS, Look, View
from onnxcam.overlay.sheet import fitted, grid
from onnxcam.overlay.style import STYLES
from onnxcam.signals import Signal
from onnxcam.volumes.volume import Volume

__all__ = [
    "COLORMAPS",
    "DEFAULT_COLORMAP",
    "LAYOUTS",
    "STYLES",
    "Look",
    "View",
    "colorize",
    "draw",
    "fitted",
    "grid",
    "render",
]


@singledispatch
def render(source: object, heat: np.ndarray, look: Look, view: View) -> Picture:
    """Heat, float in [0, 1] and of the source's size, on what was explained: uint8 RGB (H, W, 3).

    The source is a picture, uint8 RGB (H, W, 3), a `Volume` (heat (D, H, W)), of which `view` says
    what is shown, or a `Signal` (heat (L,)). Raises `OnnxCamError`.
    """
    raise OnnxCamError(f"{type(source).__name__}: not a picture, a volume or a signal")


@render.register
def _(source: np.ndarray, heat: np.ndarray, look: Look, view: View) -> Picture:
    return draw(source, heat, look)


@render.register
def _(source: Volume, heat: np.ndarray, look: Look, view: View) -> Picture:
    from onnxcam.overlay.slices import draw_volume  # pictures need none of it

    return draw_volume(source, heat, look, view)


@render.register
def _(source: Signal, heat: np.ndarray, look: Look, view: View) -> Picture:
    from onnxcam.overlay.plot import draw_signal  # nor of this

    return draw_signal(source, heat, look)
