"""Sessions and providers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
from builders import classifier
from graphs import pictures

import onnxcam
from onnxcam.errors import ExecutionError, FallbackWarning
from onnxcam.runtime import CPU, Runner, _load_libraries, said


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
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert onnxcam.rewrite(classifier()).graph.output[1].name == "cam"
    with pytest.raises(ExecutionError, match="not installed"):
        onnxcam.explain(classifier(), np.zeros((8, 8), np.uint8))


def test_lengths_that_misfit_are_named() -> None:
    with pytest.raises(ExecutionError, match=r"image .*index: 2 Got: 12 Expected: 16") as caught:
        Runner(classifier()).run({"image": np.zeros((1, 3, 12, 16), np.float32)})
    assert len(str(caught.value).splitlines()) == 1


# -- providers that do not start ----------------------------------------------------------------


@pytest.fixture
def claims_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ONNX Runtime that says it has CUDA, and then cannot start it."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU]
    )


@pytest.mark.usefixtures("claims_cuda")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("wanted", [None, "auto", ["cuda", "cpu"], ["cuda:1", "auto"]], ids=str)
def test_one_that_may_stand_in_is_said(wanted: Any) -> None:
    with pytest.warns(FallbackWarning, match="cuda could not be started.*running on cpu"):
        assert Runner(classifier(), wanted).provider == CPU


@pytest.mark.usefixtures("claims_cuda")
def test_a_session_that_raises_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    made = onnxruntime.InferenceSession

    def session(data: bytes, options: Any, providers: list[str], **how: Any) -> Any:
        if providers[0] != CPU:
            raise RuntimeError("no such device")
        return made(data, options, providers=providers, **how)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.warns(FallbackWarning, match=r"cuda .*\(no such device\); running on cpu"):
        assert Runner(classifier(), ["cuda:7", "cpu"]).provider == CPU
    with pytest.raises(ExecutionError, match="no such device"):
        Runner(classifier(), ["cuda:7"])


def test_one_that_this_build_lacks_is_said() -> None:
    with pytest.warns(FallbackWarning, match="tensorrt could not be started; running on cpu"):
        assert Runner(classifier(), ["tensorrt", "cpu"]).provider == CPU


def test_the_libraries_are_loaded_once_before_the_first_cuda_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loads: list[str] = []

    def preload_dlls() -> None:
        loads.append("loaded")
        print("a library is missing")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload_dlls)
    _load_libraries.cache_clear()
    Runner(classifier(), ["cpu"])
    assert loads == []
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU]
    )
    for _ in range(2):
        with pytest.warns(UserWarning, match="Specified provider|cuda"):
            Runner(classifier())
    assert loads == ["loaded"]
    assert capsys.readouterr().out == ""  # which is for --json
    _load_libraries.cache_clear()


# -- outputs ------------------------------------------------------------------------------------


def test_only_the_outputs_asked_for() -> None:
    runner = Runner(onnxcam.rewrite(classifier()), ["cpu"])
    assert set(runner.run({"image": pictures()})) == {"logits", "cam", "cam_target"}
    assert set(runner.run({"image": pictures()}, ["cam"])) == {"cam"}
