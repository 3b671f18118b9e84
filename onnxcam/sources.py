"""What is explained, whatever it is: a picture, a volume or a signal, as the model's input asks."""

from __future__ import annotations

import os

import numpy as np

from onnxcam.errors import ImageError
from onnxcam.graph.picture import ImageInput
from onnxcam.images import Picture, as_picture, read_image
from onnxcam.signals import Signal, as_signal, read_signal
from onnxcam.volumes import Volume, as_volume, read_volume

Source = Picture | Volume | Signal
SourceSpec = str | os.PathLike[str] | np.ndarray | Volume | Signal
"""A path, an array, or what was read before."""

SPECS = (str, os.PathLike, np.ndarray, Volume, Signal)


def read_source(spec: SourceSpec, to: ImageInput) -> Source:
    """What a path or an array holds: a picture for an input of two axes, a volume or a signal.

    Raises `ImageError` and `VolumeError`.
    """
    if isinstance(spec, Volume | Signal):
        return spec
    if len(to.size) == 3:
        return _volume(spec, to.channels)
    if len(to.size) == 1:
        return _signal(spec, to.channels)
    if not to.is_picture:
        raise ImageError(
            f"input '{to.name}' takes no picture but ({', '.join(to.layout)}) of {to.channels} "
            f"channels; prepare an array and use Explainer.run"
        )
    return as_picture(spec) if isinstance(spec, np.ndarray) else read_image(spec)


def _volume(spec: str | os.PathLike[str] | np.ndarray, channels: int) -> Volume:
    return (
        as_volume(spec, channels) if isinstance(spec, np.ndarray) else read_volume(spec, channels)
    )


def _signal(spec: str | os.PathLike[str] | np.ndarray, channels: int) -> Signal:
    return (
        as_signal(spec, channels) if isinstance(spec, np.ndarray) else read_signal(spec, channels)
    )


def values_of(source: Source) -> np.ndarray:
    """(*size, channels): uint8 of pictures, else float32."""
    return source if isinstance(source, np.ndarray) else source.values


def size_of(source: Source) -> tuple[int, ...]:
    """(H, W), (D, H, W) or (L,)."""
    return tuple(values_of(source).shape[:-1])
