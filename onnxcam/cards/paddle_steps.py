"""A list of operators that prepare a picture, followed one by one to one `Preprocess`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxcam.cards.document import Document, Settings
from onnxcam.cards.resizing import (
    Resizing,
    cropped,
    kept,
    padded,
    stretched,
    stretched_and_cropped,
)
from onnxcam.errors import nearest

Size = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """An operator by name, with its settings."""

    name: str
    settings: Document


def _unchanged() -> dict[str, Any]:
    return {"scale": 1.0, "interpolation": "linear"}


@dataclass
class Plan:
    """What the operators so far do: sizes are (height, width), `fields` those of `Preprocess`."""

    fields: dict[str, Any] = field(
        default_factory=lambda: {"scale": 1.0, "interpolation": "linear"}
    )
    size: Size | None = None
    shorter: int | None = None
    crop: Size | None = None
    pad: Size | None = None
    pad_at: str = "corner"
    pad_value: float | None = None
    stride: int = 1
    assumed: tuple[str, ...] = ()

    @property
    def resizing(self) -> Resizing:
        """The steps about size as one."""
        if self.pad is not None:
            return padded(self.pad, self.pad_at, self.pad_value)
        if self.shorter is not None:
            if self.crop is None:
                return kept(self.shorter, self.stride)
            return cropped(self.shorter, self.crop)
        if self.size is not None and self.crop is not None:
            return stretched_and_cropped(self.size, self.crop)
        return stretched(self.size or self.crop)

    def normalise(self, scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """(pixel * scale - mean) / std."""
        self.fields |= {"scale": scale, "mean": mean, "std": std}


Operator = Callable[[Plan, Document], None]
Operators = Mapping[str, Operator]


def nothing(plan: Plan, settings: Document) -> None:
    """An operator that changes no pixel: layout, bookkeeping."""


def followed(steps: list[Step], operators: Operators) -> Settings:
    """What a list of operators amounts to.

    Raises `PreprocessError` for one that is not in `operators`.
    """
    plan = Plan()
    for step in steps:
        if step.name not in operators:
            why = f"is no operator that is understood{nearest(step.name, operators)}"
            raise step.settings.wrong(step.name, why)
        operators[step.name](plan, step.settings)
    how = plan.resizing
    named = steps[-1].settings if steps else Document("the list of operators", {})
    return Settings(named.preprocess(how.fields | plan.fields), plan.assumed + how.assumed)


def fraction(settings: Document, key: str, default: float) -> float:
    """A number, or the text "1.0/255.0", which these programs evaluate."""
    value = settings.get(key, default)
    if not isinstance(value, str):
        return settings.number(key, default)
    over, _, under = value.partition("/")
    try:
        return float(over) / float(under or 1)
    except (ValueError, ZeroDivisionError):
        raise settings.wrong(key, f"must be a number, not {value!r}") from None
