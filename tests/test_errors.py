"""The errors' family, and the names they offer."""

from __future__ import annotations

import inspect

import pytest

import onnxcam
from onnxcam import errors
from onnxcam.errors import OnnxCamError, nearest, one_line


def test_every_error_is_of_the_family_and_public() -> None:
    found = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, Exception)
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
