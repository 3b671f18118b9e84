"""TensorRT's options: engines are kept unless somebody says otherwise, apart for each model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from builders import classifier

from onnxcam.engine_cache import engines_folder, with_engine_cache
from onnxcam.errors import FallbackWarning
from onnxcam.providers import CPU, CUDA, TENSORRT, Plan, Provider
from onnxcam.runtime import Runner

ENABLE, PATH = "trt_engine_cache_enable", "trt_engine_cache_path"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder; none of ONNX Runtime's variables is set."""
    for variable in [v for v in os.environ if v.startswith("ORT_TENSORRT_")]:
        monkeypatch.delenv(variable)
    folder = tmp_path / "caches"
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(folder))
    return folder


def options_of(
    model: bytes = b"model", folder: Path | None = None, said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What TensorRT is given for a model, by name."""
    plan = Plan((Provider(TENSORRT, said or {}), Provider(CUDA), Provider(CPU)), 1)
    cached = with_engine_cache(plan, model, folder)
    assert cached.providers[1:] == plan.providers[1:]
    return dict(cached.providers[0].options)


def test_engines_are_kept_in_the_users_cache(caches: Path) -> None:
    options = options_of(said={"trt_fp16_enable": "True"})
    assert options.keys() == {"trt_fp16_enable", ENABLE, PATH}
    assert options[ENABLE] == "True"
    assert Path(options[PATH]).parent == caches / "onnxcam" / "tensorrt" == engines_folder()
    assert Path(options[PATH]).is_dir()


def test_the_same_model_finds_its_engines_and_no_other_does() -> None:
    paths = [
        options_of(b"a"),
        options_of(b"a"),
        options_of(b"b"),
        options_of(b"a", said={"device_id": 1}),
    ]
    first, again, other, configured = (options[PATH] for options in paths)
    assert first == again
    assert len({first, other, configured}) == 3


def test_weights_outside_the_model_count(save: Callable[..., Path]) -> None:
    path = save(classifier(), save_as_external_data=True, location="weights", size_threshold=0)
    data, weights = path.read_bytes(), path.with_name("weights")
    before = options_of(data, path.parent)[PATH]
    path.with_name("beside").write_text("nothing of the model's")
    assert options_of(data, path.parent)[PATH] == before
    status = weights.stat()
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert options_of(data, path.parent)[PATH] != before


@pytest.mark.parametrize(
    "given",
    [
        {ENABLE: "False"},
        {ENABLE: "True", PATH: "engines"},
        {"trt_dump_ep_context_model": "1"},
        {"trt_ep_context_file_path": "engine.onnx"},
    ],
    ids=str,
)
def test_what_is_said_about_the_cache_stays_as_it_is(given: dict[str, str], caches: Path) -> None:
    assert options_of(said=given) == given
    assert not caches.exists()


def test_variables_of_the_runtime_are_not_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_TENSORRT_CACHE_PATH", "elsewhere")
    assert options_of() == {}


def test_without_a_place_to_write_nothing_is_kept(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches.write_text("no folder")
    assert options_of() == {}

    def homeless(path: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert options_of() == {}


@pytest.mark.skipif(os.name == "nt", reason="XDG's base directories")
@pytest.mark.parametrize("said", ["", "relative/caches"])
def test_a_cache_folder_must_be_absolute(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", said)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert engines_folder() == Path("/home/somebody/.cache/onnxcam/tensorrt")


def test_other_providers_have_no_engines(caches: Path) -> None:
    plan = Plan((Provider(CUDA), Provider(CPU)), 1)
    assert with_engine_cache(plan, b"model", None) is plan
    assert not caches.exists()


def test_a_session_starts_with_the_cache_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CPU])
    made = onnxruntime.InferenceSession
    given: list[dict[str, Any]] = []

    def started(data: bytes, options: Any, providers: list[str], **how: Any) -> Any:
        if providers[0] == TENSORRT:
            given.append(how["provider_options"][0])
            raise RuntimeError("no TensorRT here")
        return made(data, options, providers=providers, **how)

    monkeypatch.setattr(onnxruntime, "InferenceSession", started)
    first, other = classifier(), classifier()
    (bias,) = [t for t in other.graph.initializer if list(t.dims) == [5]]
    bias.CopyFrom(onnx.numpy_helper.from_array(np.ones(5, np.float32), bias.name))
    for model in (first, first, other):  # the same names, other weights
        with pytest.warns(FallbackWarning):
            Runner(model, ["tensorrt", "cpu"])
    assert all(options[ENABLE] == "True" for options in given)
    assert given[0][PATH] == given[1][PATH] != given[2][PATH]
