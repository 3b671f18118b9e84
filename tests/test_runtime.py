"""Sessions and providers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from builders import classifier
from graphs import pictures

from onnxcam.errors import ExecutionError
from onnxcam.runtime import CPU, Runner, _providers, said


class Fake:
    """A stand-in for the onnxruntime module."""

    def __init__(self, *available: str) -> None:
        self.available = list(available)

    def get_available_providers(self) -> list[str]:
        return self.available


GPU = Fake("TensorrtExecutionProvider", "CUDAExecutionProvider", CPU)


@pytest.mark.parametrize(
    ("runtime", "wanted", "chosen"),
    [
        (Fake(CPU), None, [CPU]),
        (Fake("AzureExecutionProvider", CPU), None, [CPU]),
        (GPU, None, ["CUDAExecutionProvider", CPU]),
        (GPU, ["cuda"], ["CUDAExecutionProvider", CPU]),
        (GPU, ["CUDA"], ["CUDAExecutionProvider", CPU]),
        (GPU, ["CUDAExecutionProvider"], ["CUDAExecutionProvider", CPU]),
        (GPU, ["cpu"], [CPU]),
        (GPU, ["tensorrt", "cuda"], ["TensorrtExecutionProvider", "CUDAExecutionProvider", CPU]),
    ],
)
def test_providers_are_chosen(runtime: Fake, wanted: list[str] | None, chosen: list[str]) -> None:
    assert _providers(runtime, wanted) == chosen


def test_a_provider_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ExecutionError, match="'cud' is not there; did you mean 'cuda'") as raised:
        _providers(GPU, ["cud"])
    assert CPU in str(raised.value)


def test_a_run_gives_every_output_by_name() -> None:
    runner = Runner(classifier(), ["cpu"])
    assert runner.provider == CPU
    assert runner.run({"image": pictures()})["logits"].shape == (1, 5)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_fallback_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU]
    )
    with pytest.raises(ExecutionError) as raised:
        Runner(classifier(), ["cuda"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"image": np.zeros((1, 3, 4), np.float32)},
        {"image": np.zeros((1, 3, 16, 16), np.int64)},
        {"image": np.zeros((2, 3, 16, 16), np.float32)},
        {"other": np.zeros((1, 3, 16, 16), np.float32)},
    ],
    ids=["none", "rank", "type", "batch", "name"],
)
def test_wrong_feeds_are_one_line(feeds: dict[str, np.ndarray]) -> None:
    with pytest.raises(ExecutionError, match="does not run") as raised:
        Runner(classifier(), ["cpu"]).run(feeds)
    assert "\n" not in str(raised.value)


def test_a_model_that_the_runtime_refuses() -> None:
    model = classifier()
    model.graph.node[0].op_type = "Konv"
    with pytest.raises(ExecutionError, match="refuses the model") as raised:
        Runner(model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : bad\nmore"), "bad"),
        (ValueError("plain"), "plain"),
        (ValueError(""), "ValueError"),
    ],
)
def test_what_the_runtime_says_without_its_error_code(error: Exception, line: str) -> None:
    assert said(error) == line


def test_onnxruntime_is_imported_with_the_first_session_only() -> None:
    """Reading and rewriting need no runtime, and frameworks are never imported."""
    code = (
        "import sys, onnxcam; loaded = set(sys.modules); "
        "print(sorted(loaded & {'onnxruntime', 'torch', 'tensorflow', 'paddle', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_runtime_models_are_rewritten_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnxcam

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert onnxcam.rewrite(classifier()).graph.output[1].name == "cam"
    with pytest.raises(ExecutionError, match="not installed"):
        onnxcam.explain(classifier(), np.zeros((8, 8), np.uint8))


def test_lengths_that_misfit_are_named() -> None:
    with pytest.raises(ExecutionError, match=r"image .*index: 2 Got: 12 Expected: 16") as caught:
        Runner(classifier()).run({"image": np.zeros((1, 3, 12, 16), np.float32)})
    assert len(str(caught.value).splitlines()) == 1
