"""The class of a label and the label of a class."""

from __future__ import annotations

import pytest

from onnxcam.cards import Card
from onnxcam.errors import TargetError
from onnxcam.preprocess import Preprocess

CARD = Card(Preprocess(), ("tabby, tabby cat", "Egyptian cat", "tiger", "0"))


@pytest.mark.parametrize(
    ("label", "index"),
    [("tabby", 0), ("tabby cat", 0), ("TABBY, tabby cat", 0), ("egyptian CAT", 1), ("tiger", 2)],
)
def test_a_label_is_found_by_name_or_synonym(label: str, index: int) -> None:
    assert CARD.index(label) == index


@pytest.mark.parametrize(("label", "near"), [("egyptian", "Egyptian cat"), ("tigr", "tiger")])
def test_an_unknown_label_offers_the_nearest(label: str, near: str) -> None:
    with pytest.raises(TargetError, match=f"did you mean .*'{near}'"):
        CARD.index(label)


def test_without_labels_a_name_means_nothing() -> None:
    with pytest.raises(TargetError, match="carries no labels"):
        Card(Preprocess(), None).index("cat")


@pytest.mark.parametrize("index", [-1, 4, 1000])
def test_a_class_without_a_name(index: int) -> None:
    assert CARD.label(index) is None
