"""The errors' family, and the names they offer."""

from __future__ import annotations

import inspect

import pytest

import onnxcam
from onnxcam import errors
from onnxcam.errors import LayerError, ModelError, OnnxCamError, damage, nearest, one_line


def test_every_error_is_of_the_family_and_public() -> None:
    found = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, Exception) and not issubclass(value, Warning)
    ]
    assert len(found) >= 8
    for error in found:
        assert issubclass(error, OnnxCamError)
        assert getattr(onnxcam, error.__name__) is error
        assert error.__doc__


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("cta", ["cat", "dog"], "; did you mean 'cat'?"),
        ("CAT", ["Cat", "dog"], "; did you mean 'Cat'?"),
        ("egyptian", ["Egyptian cat", "Siamese cat"], "; did you mean 'Egyptian cat'?"),
        ("zzz", ["cat", "dog"], ""),
        ("cat", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], said: str) -> None:
    assert nearest(name, known) == said


def test_at_most_three_are_offered() -> None:
    assert nearest("conv1", [f"conv{k}" for k in range(9)]).count("'") == 6


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("a\nb"), "a"), (ValueError(""), "ValueError"), (KeyError(3), "3")],
)
def test_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("layer 'ünï 特徴' is none", "layer 'ünï 特徴' is none"),
        ("two\r\nlines\x1b[31m", r"two\r\nlines\x1b[31m"),
        ("no text \udc80", r"no text \udc80"),
        ("", ""),
    ],
)
def test_a_message_is_one_readable_line(message: str, shown: str) -> None:
    assert str(LayerError(message)) == shown


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    said = str(ModelError(f"the node '{'x' * 10**6}' is none; export it again"))
    assert len(said) <= errors.LONGEST_MESSAGE
    assert said.startswith("the node 'xxx")
    assert said.endswith("xxx' is none; export it again")


def test_damage_is_an_error_of_the_family() -> None:
    with pytest.raises(ModelError, match=r"damaged \(KeyError: 'axis'\); export or"), damage():
        raise KeyError("axis")
    with pytest.raises(LayerError, match=r"^as it was$"), damage():
        raise LayerError("as it was")
    with pytest.raises(KeyboardInterrupt), damage():
        raise KeyboardInterrupt
