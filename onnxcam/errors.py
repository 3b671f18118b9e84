"""Everything onnxcam raises on purpose: one line that names the thing and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST_MESSAGE = 1000
"""Letters of an error that somebody will read."""


class OnnxCamError(Exception):
    """Base of all errors that onnxcam raises on purpose.

    The message is one readable line, whatever the names that it quotes hold.
    """

    def __init__(self, message: str = "") -> None:
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        if len(shown) > LONGEST_MESSAGE:
            half = LONGEST_MESSAGE // 2 - 2
            shown = f"{shown[:half]} .. {shown[-half:]}"
        super().__init__(shown)


class ModelError(OnnxCamError):
    """The model cannot be read, or cannot be explained as it is."""


class LayerError(OnnxCamError):
    """No such target layer, or one that cannot carry a heatmap."""


class TargetError(OnnxCamError):
    """No such class, label or score in this model."""


class AbsentError(TargetError):
    """What is to be explained is not in this picture; another one may show it."""


class MethodError(OnnxCamError):
    """No such method."""


class PreprocessError(OnnxCamError):
    """A preprocessing preset, file or label list that cannot be used."""


class ImageError(OnnxCamError):
    """A picture that cannot be read or written."""


class VolumeError(OnnxCamError):
    """A volume or a signal that cannot be read, written or explained."""


class ExecutionError(OnnxCamError):
    """ONNX Runtime is missing, lacks the provider, or refuses the model."""


class UnsupportedOperatorError(OnnxCamError):
    """An operator on the gradient's path that has no derivative here."""


class FallbackWarning(UserWarning):
    """An execution provider that was preferred did not start, and another one did."""


OF_ONE_PICTURE = (ImageError, VolumeError, PreprocessError, ExecutionError, AbsentError)
"""What another picture may not meet."""


def one_line(error: Exception) -> str:
    """The first line of what a library says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def damage() -> Iterator[None]:
    """Where a model is read: what a damaged file does to onnx, protobuf and NumPy has no bounds.

    Raises `ModelError` in place of what they raise.
    """
    try:
        yield
    except OnnxCamError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ModelError(f"the model is damaged ({reason}); export or copy it again") from error


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """`"; did you mean 'a', 'b'?"`, or nothing when no known name is near `name`."""
    lowered = {candidate.lower(): candidate for candidate in reversed(list(known))}
    matches = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    matches += [key for key in lowered if name.lower() in key and key not in matches]
    named = ", ".join(f"'{lowered[match]}'" for match in matches[:count])
    return f"; did you mean {named}?" if named else ""
