"""Settings in other programs' words, and complaints that name the file, the key and the way out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from onnxcam.errors import PreprocessError
from onnxcam.preprocess import Preprocess

LONGEST = 2**20
"""Pixels along an axis; more are a slip."""

LEAST = 1e-3
"""Part of a picture that a crop takes; less is a slip."""


@dataclass(frozen=True)
class Settings:
    """Preprocessing that was read; `assumed` says in words what could not be read exactly."""

    preprocess: Preprocess
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """Keys and values of a file or of a model's metadata; `name` is what errors call it.

    A key whose value is null counts as left out. All that is wrong is a `PreprocessError`.
    """

    name: str
    content: Mapping[str, Any] = field(repr=False)
    folder: Path | None = None

    def __contains__(self, key: str) -> bool:
        return self.content.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it is, or `default`."""
        return self.content[key] if key in self else default

    def wrong(self, key: str, why: str) -> PreprocessError:
        """What to raise about a key."""
        return PreprocessError(
            f"{self.name}: '{key}' {why}; say with --preprocess how the model is fed"
        )

    def part(self, key: str) -> Document:
        """The object under a key; an empty one where the key is left out."""
        content = self.get(key, {})
        if not isinstance(content, Mapping):
            raise self.wrong(key, "must hold settings by name")
        return Document(f"{self.name}, {key}", content, self.folder)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"must be true or false, not {value!r}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._known(key, default)
        if not _is_number(value):
            raise self.wrong(key, f"must be a number, not {value!r}")
        return float(value)

    def share(self, key: str, default: float) -> float:
        """How much of a whole is taken, above 0."""
        value = self.number(key, default)
        if not value >= LEAST:
            raise self.wrong(key, f"must be a part of 1, not {value:g}")
        return value

    def values(self, key: str, default: Any = None) -> tuple[float, ...]:
        """Numbers, one a channel; of a single one a tuple of one."""
        value = self._known(key, default)
        numbers = value if isinstance(value, list | tuple) else [value]
        if not numbers or not all(_is_number(number) for number in numbers):
            raise self.wrong(key, f"must be numbers, not {value!r}")
        return tuple(float(number) for number in numbers)

    def lengths(self, key: str) -> tuple[int, int]:
        """Two positive whole numbers in the order of the file; of a single one a square."""
        value = self._known(key, None)
        pair = value if isinstance(value, list | tuple) else [value]
        pair = [*pair, *pair] if len(pair) == 1 else pair
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
        if len(pair) != 2 or not whole or not all(0 < n <= LONGEST for n in pair):
            raise self.wrong(key, f"must be one or two lengths in pixels, not {value!r}")
        return pair[0], pair[1]

    def length(self, key: str) -> int:
        """A positive whole number of pixels, alone or in a list of one."""
        first, second = self.lengths(key)
        if first != second:
            raise self.wrong(key, f"must be one length in pixels, not {self.get(key)!r}")
        return first

    def one_of(self, key: str, known: Mapping[Any, str], default: Any) -> str:
        """What a value stands for in `known`; names whatever their case."""
        value = self.get(key, default)
        sought = value.lower() if isinstance(value, str) else value
        try:
            return known[sought]
        except (KeyError, TypeError):
            some = ", ".join(str(name) for name in known)
            raise self.wrong(key, f"is {value!r}, none of {some}") from None

    def preprocess(self, settings: Mapping[str, Any]) -> Preprocess:
        """A `Preprocess` of these fields; one value a channel that are all the same are one."""
        fields = dict(settings)
        for key in ("mean", "std"):
            if len(set(fields.get(key, (0, 1)))) == 1:
                fields[key] = fields[key][0]
        try:
            return Preprocess(**fields)
        except PreprocessError as error:
            raise PreprocessError(
                f"{self.name}: {error}; say with --preprocess how the model is fed"
            ) from None

    def _known(self, key: str, default: Any) -> Any:
        value = self.get(key, default)
        if value is None:
            raise self.wrong(key, "is left out")
        return value


class Format(Protocol):
    """How one program writes down what its models are fed and what their classes are called.

    `FILES` are the names of its files beside a model. Both functions answer None where a document
    is of another kind or says nothing about it.
    """

    @property
    def FILES(self) -> tuple[str, ...]: ...

    def settings(self, document: Document) -> Settings | None: ...

    def names(self, document: Document) -> list[str] | None: ...


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) <= sys.float_info.max  # not so of NaN, nor of long integers
