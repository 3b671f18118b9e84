"""Targets in words, as `--target` and `Explainer.explain(target="...")` take them.

285, Egyptian cat        a class, by number or label; this reading always wins
best, all                the model's best class; every class
present, present:0.3     every class of a multi-label model above a probability, 0.5
yes, no                  a side of a model of one unit
285-281, cat-dog,fox     a class against another, or against the mean of several
285-rest                 a class against all others
p:SPEC                   the same of the probability instead of the logit
value, -value            what a regression gives, and why it is so low
output:NAME[0,3]         an element of an output or any tensor (behind the batch); `-` in front
                         for its fall, `:sum` or `:mean` behind of what the index leaves open
region, region:CLASS     positions of a segmentation where the class is the predicted one
region:CLASS@MASK        the class within a mask (a picture file) or box (x1,y1,x2,y2)
similar:PICTURE          likeness to a picture, of a model that embeds
box:...                  a detected box, see `onnxcam.targets.boxes`
OUTPUT:SPEC              the same of the output of that name
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from onnxcam.errors import TargetError
from onnxcam.graph.named_layers import as_number
from onnxcam.graph.network import Network
from onnxcam.targets.base import Wanted
from onnxcam.targets.boxes import parse_box
from onnxcam.targets.classes import BEST, Classes, require_class
from onnxcam.targets.contrast import REST, Contrast
from onnxcam.targets.offer import require_head
from onnxcam.targets.region import Place, Region
from onnxcam.targets.sets import All, Present, Side
from onnxcam.targets.similarity import Similarity
from onnxcam.targets.usual import class_count
from onnxcam.targets.value import Value

_ELEMENT = re.compile(r"(?P<name>.+?)(\[(?P<index>[^\]]*)\])?(:(?P<reduce>mean|sum))?")


@dataclass(frozen=True)
class Reader:
    """Reads the targets of one model: `index_of` knows its labels, `score` is what is
    differentiated of classes."""

    network: Network
    index_of: Callable[[str], int]
    score: str = "logit"
    output: str | None = None

    def read(self, text: str) -> Wanted:
        """Raises `TargetError` for words that make no target."""
        if self._is_class(text):
            return Classes((self._class(text),), self.score, self.output)
        name, colon, rest = text.partition(":")
        special = self._special(name, rest if colon else None, text)
        if special is not None:
            return special
        outputs = [tensor.name for tensor in self.network.graph.outputs]
        named = [one for one in outputs if text.startswith(f"{one}:")]
        if named:
            longest = max(named, key=len)
            return replace(self, output=longest).read(text[len(longest) + 1 :])
        contrast = self._contrast(text)
        if contrast is not None:
            return contrast
        return Classes((self.index_of(text),), self.score, self.output)  # which says what is near

    def wanted(self, target: int | str | Wanted) -> Wanted:
        """A target from a class number, from words, or as it is. Raises `TargetError`."""
        if isinstance(target, str):
            return self.read(target)
        if isinstance(target, int | np.integer):
            require_class(require_head(self.network), int(target))
            return Classes((int(target),), self.score)
        return target

    def _special(self, name: str, rest: str | None, text: str) -> Wanted | None:
        if rest is None:
            return self._word(text)
        if name == "p":
            return replace(self, score="probability").read(rest)
        if name == "present":
            return Present(_number(rest, text), self.score, self.output)
        if name in ("output", "-output"):
            return _value(rest, -1 if name.startswith("-") else 1)
        if name == "region":
            return self._region(rest, text)
        if name == "box":
            return parse_box(rest)
        if name == "similar":
            return Similarity(rest, self.output)
        return None

    def _word(self, text: str) -> Wanted | None:
        if text.startswith("region@"):
            return self._region(text[len("region") :], text)
        words: dict[str, Callable[[], Wanted]] = {
            "best": lambda: Classes.best(1, self.score, self.output),
            "all": lambda: All(self.score, self.output),
            "present": lambda: Present(score=self.score, output=self.output),
            "yes": lambda: Side("yes", self.score, self.output),
            "no": lambda: Side("no", self.score, self.output),
            "value": lambda: Value(self.output),
            "-value": lambda: Value(self.output, sign=-1),
            "region": lambda: Region(output=self.output),
            "box": lambda: parse_box(""),
        }
        return words[text]() if text in words else None

    def _region(self, rest: str, text: str) -> Region:
        if self._is_class(rest):
            return Region(self._class(rest), output=self.output)
        splits = [match.start() for match in re.finditer("@", rest)]
        at = next((k for k in splits if rest[:k] in ("", "best") or self._is_class(rest[:k])), None)
        if at is None:
            return Region(self.index_of(rest), output=self.output)  # which says what is near
        name, where = rest[:at], rest[at + 1 :]
        cls = BEST if name in ("", "best") else self._class(name)
        if not where:
            raise TargetError(f"'{text}': give a box x1,y1,x2,y2 or a picture file behind the @")
        box = _place(where)
        if box is None or os.path.exists(where):
            return Region(cls, mask=where, output=self.output)
        return Region(cls, box, output=self.output)

    def _contrast(self, text: str) -> Contrast | None:
        """Both sides may hold hyphens of their own."""
        readings = [
            Contrast(of, against, self.output)
            for at in (match.start() for match in re.finditer("-", text))
            if (of := self._of(text[:at].strip())) is not None
            and (against := self._against(text[at + 1 :].strip())) is not None
        ]
        if len(readings) > 1:
            raise TargetError(
                f"'{text}' can be read in {len(readings)} ways; give the classes by number"
            )
        if readings and self.score != "logit":
            raise TargetError(f"'{text}': a contrast is one of logits; leave 'p:' out")
        return readings[0] if readings else None

    def _of(self, text: str) -> int | None:
        if self._is_class(text):
            return self._class(text)
        return BEST if text == "best" else None

    def _against(self, text: str) -> str | tuple[int, ...] | None:
        if self._is_class(text):
            return (self._class(text),)
        if text == "rest":
            return REST
        parts = [part.strip() for part in text.split(",")]
        if not all(self._is_class(part) for part in parts):
            return None
        return tuple(self._class(part) for part in parts)

    def _is_class(self, text: str) -> bool:
        if as_number(text) is not None:
            return True
        try:
            self.index_of(text)
        except TargetError:
            return False
        return True

    def _class(self, text: str) -> int:
        try:  # a label may look like a number
            return self.index_of(text)
        except TargetError:
            number = as_number(text)
            if number is None:
                raise
            if number < 0:
                count = class_count(self.network) or 1
                raise TargetError(
                    f"class {number} does not exist; the model has classes 0 to {count - 1}"
                ) from None
            return number


def _value(rest: str, sign: int) -> Value:
    match = _ELEMENT.fullmatch(rest)
    if match is None:
        raise TargetError("output: what is its name? output:NAME[0,3]")
    index: list[int | None] = []
    for part in (match["index"] or "").split(",") if match["index"] else []:
        number = None if part.strip() == ":" else as_number(part.strip())
        if number is None and part.strip() != ":":
            raise TargetError(f"'{part}' in 'output:{rest}' is no index; give numbers or :")
        index.append(number)
    return Value(match["name"], tuple(index), sign, match["reduce"] or "mean")


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TargetError(f"'{text}' in '{whole}' is no number") from None


def _place(text: str) -> Place | None:
    """Four numbers, or None."""
    parts = text.split(",")
    try:
        x1, y1, x2, y2 = (float(part) for part in parts)
    except ValueError:
        return None
    return x1, y1, x2, y2
