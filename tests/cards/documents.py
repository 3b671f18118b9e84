"""Documents in the words of other programs, and what is read from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from onnxcam.cards.document import Document, Format, Settings
from onnxcam.errors import PreprocessError
from onnxcam.preprocess import Preprocess

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def read(form: Format, content: Mapping[str, Any]) -> Settings:
    """The settings of a document that must hold some."""
    found = form.settings(Document("the/file", content))
    assert found is not None
    return found


def exactly(form: Format, content: Mapping[str, Any]) -> Preprocess:
    """The same where nothing had to be assumed."""
    found = read(form, content)
    assert found.assumed == ()
    return found.preprocess


def names(form: Format, content: Mapping[str, Any]) -> list[str] | None:
    """The class names of a document."""
    return form.names(Document("the/file", content))


def refused(form: Format, content: Mapping[str, Any], *words: str) -> None:
    """One line that names the file, the key and the way out."""
    with pytest.raises(PreprocessError) as caught:
        form.settings(Document("the/file", content))
    line = str(caught.value)
    assert re.match(r"the/file\b", line)
    for word in (*words, "--preprocess"):
        assert word in line
