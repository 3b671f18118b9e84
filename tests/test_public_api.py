"""What `import onnxcam` offers: the contract's names and signatures, documented."""

from __future__ import annotations

import inspect

import pytest

import onnxcam

CONTRACT = {
    "explain": ["model", "images"],
    "rewrite": ["model", "method", "layer", "top", "profile"],
    "append_gradients": ["model", "of", "wrt"],
    "find_layers": ["model"],
    "Explainer": ["model", "method", "layer", "preprocess", "labels", "providers", "score"],
}


@pytest.mark.parametrize("name", CONTRACT)
def test_signatures_begin_as_promised(name: str) -> None:
    parameters = list(inspect.signature(getattr(onnxcam, name)).parameters)
    assert parameters[: len(CONTRACT[name])] == CONTRACT[name]


def test_defaults_are_as_promised() -> None:
    made = inspect.signature(onnxcam.rewrite).parameters
    assert (made["method"].default, made["layer"].default) == ("gradcam", None)
    assert (made["top"].default, made["profile"].default) == (1, "cpu")
    run = inspect.signature(onnxcam.Explainer.run).parameters
    assert (run["target"].default, run["top"].default) == (None, 1)


@pytest.mark.parametrize("name", [n for n in onnxcam.__all__ if n != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(onnxcam, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        for method, function in inspect.getmembers(value, inspect.isfunction):
            if not method.startswith("_"):
                assert inspect.getdoc(function), f"{name}.{method}"


def test_all_is_sorted_and_complete() -> None:
    assert list(onnxcam.__all__) == sorted(onnxcam.__all__)
    assert len(set(onnxcam.__all__)) == len(onnxcam.__all__)


def test_the_package_is_typed() -> None:
    from importlib.resources import files

    assert files("onnxcam").joinpath("py.typed").is_file()
