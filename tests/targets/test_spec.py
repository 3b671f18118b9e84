"""Targets in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from targets.networks import classifier, segmentation, two_heads

from onnxcam import Explainer
from onnxcam.errors import TargetError
from onnxcam.targets import (
    BEST,
    REST,
    All,
    Classes,
    Contrast,
    Present,
    Region,
    Side,
    Similarity,
    Value,
    Wanted,
)
from onnxcam.targets.boxes import Box

NAMES = ["all", "cat-dog", "cat", "dog", "a:b, c"]


@pytest.fixture(scope="module")
def named() -> Explainer:
    return Explainer(two_heads(), labels=NAMES)


@pytest.fixture(scope="module")
def nameless() -> Explainer:
    return Explainer(two_heads())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3", Classes((3,))),
        ("best", Classes((BEST,))),
        ("all", All()),
        ("present", Present()),
        ("present:0.3", Present(0.3)),
        ("yes", Side("yes")),
        ("no", Side("no")),
        ("3-1", Contrast(3, (1,))),
        ("3 - 1", Contrast(3, (1,))),
        ("3-1,2", Contrast(3, (1, 2))),
        ("3-rest", Contrast(3, REST)),
        ("best-rest", Contrast(BEST, REST)),
        ("p:3", Classes((3,), "probability")),
        ("p:best", Classes((BEST,), "probability")),
        ("p:present:0.3", Present(0.3, "probability")),
        ("value", Value()),
        ("-value", Value(sign=-1)),
        ("output:embedding[3]", Value("embedding", (3,))),
        ("-output:embedding[-1]", Value("embedding", (-1,), -1)),
        ("output:features[3,:,0]", Value("features", (3, None, 0))),
        ("output:features:sum", Value("features", reduce="sum")),
        ("output:features[2]:mean", Value("features", (2,))),
        ("output:Identity:0[1]", Value("Identity:0", (1,))),
        ("region", Region()),
        ("region:3", Region(3)),
        ("region:3@1,2,3,4.5", Region(3, (1, 2, 3, 4.5))),
        ("region@1,2,3,4", Region(BEST, (1, 2, 3, 4))),
        ("region:@1,2,3,4", Region(BEST, (1, 2, 3, 4))),
        ("similar:a b.jpg", Similarity("a b.jpg")),
        ("colours:2", Classes((2,), output="colours")),
        ("colours:2-0", Contrast(2, (0,), "colours")),
        ("colours:p:all", All("probability", "colours")),
        ("embedding:similar:a.jpg", Similarity("a.jpg", "embedding")),
        ("box", Box()),
        ("box:1", Box(rank=1)),
    ],
)
def test_words(text: str, wanted: Wanted, nameless: Explainer) -> None:
    assert nameless.wanted(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", Classes((0,))),
        ("cat-dog", Classes((1,))),
        ("Cat", Classes((2,))),
        ("cat - dog", Contrast(2, (3,))),
        ("dog-cat", Contrast(3, (2,))),
        ("cat-dog-dog", Contrast(1, (3,))),
        ("dog-cat-dog", Contrast(3, (1,))),
        ("dog-a:b, c", Contrast(3, (4,))),
        ("dog-cat,cat-dog", Contrast(3, (2, 1))),
        ("a:b", Classes((4,))),
        ("a:b, c", Classes((4,))),
        ("p:cat-dog", Classes((1,), "probability")),
        ("region:cat-dog", Region(1)),
        ("region:dog@1,2,3,4", Region(3, (1, 2, 3, 4))),
    ],
)
def test_a_label_goes_first_whatever_is_in_it(text: str, wanted: Wanted, named: Explainer) -> None:
    assert named.wanted(text) == wanted


def test_a_file_is_a_mask(nameless: Explainer) -> None:
    found = nameless.wanted("region:2@my@masks/left.png")
    assert isinstance(found, Region)
    assert (found.cls, found.box, found.mask) == (2, None, "my@masks/left.png")
    found = nameless.wanted("region:2@left.png")
    assert isinstance(found, Region)
    assert (found.cls, found.mask) == (2, "left.png")


def test_a_file_called_like_a_box_is_a_mask(
    nameless: Explainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1,2,3,4").touch()
    found = nameless.wanted("region@1,2,3,4")
    assert isinstance(found, Region)
    assert found.mask == "1,2,3,4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-1", "classes 0 to 4"),
        ("present:much", "'much' in 'present:much' is no number"),
        ("present:2", "no probability"),
        ("output:", "what is its name"),
        ("output:embedding[x]", "'x' in 'output:embedding"),
        ("p:3-1", "leave 'p:' out"),
        ("region@", "box x1,y1,x2,y2 or a picture file"),
        ("region@4,4,4,4", "top left first"),
        ("cat", "no label 'cat'"),
        ("3-cat", "no label '3-cat'"),
        ("colours:cat", "no label 'cat'"),
    ],
)
def test_words_that_make_no_target(text: str, words: str, nameless: Explainer) -> None:
    with pytest.raises(TargetError, match=words):
        nameless.wanted(text)


def test_words_that_can_be_read_in_two_ways() -> None:
    explainer = Explainer(classifier(4), labels=["a", "a-b", "b-c", "c"])
    with pytest.raises(TargetError, match="read in 2 ways"):
        explainer.wanted("a-b-c")
    with pytest.raises(TargetError, match="did you mean"):
        explainer.wanted("d-a")
    assert explainer.wanted("a-c") == Contrast(0, (3,))


def test_an_empty_word(nameless: Explainer) -> None:
    with pytest.raises(TargetError, match="no label ''"):
        nameless.wanted("")


def test_a_negative_class_of_a_segmentation() -> None:
    with pytest.raises(TargetError, match="classes 0 to 3"):
        Explainer(segmentation()).wanted("region:-1")
