"""What is known of a model beside its graph: how it is fed, and what its classes are called."""

from __future__ import annotations

from dataclasses import dataclass

from onnxcam.errors import TargetError, nearest
from onnxcam.preprocess import Preprocess


@dataclass(frozen=True)
class Card:
    """Preprocessing and labels of a model; `assumed` says in words what was only guessed.

    `guessed` are the fields that nothing but experience spoke for.
    """

    preprocess: Preprocess
    labels: tuple[str, ...] | None
    assumed: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()

    def label(self, index: int) -> str | None:
        """Name of a class, or None when the model's classes have no names."""
        if self.labels is None or not 0 <= index < len(self.labels):
            return None
        return self.labels[index]

    def index(self, label: str) -> int:
        """Number of the class of that name, case ignored; `TargetError` with the nearest ones."""
        if self.labels is None:
            raise TargetError(
                f"no label '{label}': the model carries no labels; give the class by number, or "
                f"the names with --labels"
            )
        lowered = [known.lower() for known in self.labels]
        if label.lower() in lowered:
            return lowered.index(label.lower())
        # ImageNet's names are lists of synonyms: "tabby, tabby cat".
        for index, known in enumerate(lowered):
            if label.lower() in (name.strip() for name in known.split(",")):
                return index
        near = nearest(label, self.labels) or "; a class number will do as well"
        raise TargetError(f"no label '{label}'{near}")
