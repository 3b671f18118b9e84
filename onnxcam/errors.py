"""Everything onnxcam raises on purpose: one line that names the thing and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OnnxCamError(Exception):
    """Base of all errors that onnxcam raises on purpose; the message is one line."""


class ModelError(OnnxCamError):
    """The model cannot be read, or cannot be explained as it is."""


class LayerError(OnnxCamError):
    """No such target layer, or one that cannot carry a heatmap."""


class TargetError(OnnxCamError):
    """No such class, label or score in this model."""


class MethodError(OnnxCamError):
    """No such method."""


class PreprocessError(OnnxCamError):
    """A preprocessing preset, file or label list that cannot be used."""


class ImageError(OnnxCamError):
    """A picture that cannot be read or written."""


class ExecutionError(OnnxCamError):
    """ONNX Runtime is missing, lacks the provider, or refuses the model."""


class UnsupportedOperatorError(OnnxCamError):
    """An operator on the gradient's path that has no derivative here."""


def one_line(error: Exception) -> str:
    """The first line of what a library says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """`"; did you mean 'a', 'b'?"`, or nothing when no known name is near `name`."""
    lowered = {candidate.lower(): candidate for candidate in reversed(list(known))}
    matches = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    matches += [key for key in lowered if name.lower() in key and key not in matches]
    named = ", ".join(f"'{lowered[match]}'" for match in matches[:count])
    return f"; did you mean {named}?" if named else ""
