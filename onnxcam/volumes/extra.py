"""The libraries of the extra `volumes`, imported when a file needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxcam.errors import VolumeError


@contextmanager
def needs_extra(package: str, files: str) -> Iterator[None]:
    """Around an import: `VolumeError` that names what to install."""
    try:
        yield
    except ImportError as error:
        raise VolumeError(
            f"{files} files need {package} ({error}); pip install 'onnxcam[volumes]'"
        ) from None
