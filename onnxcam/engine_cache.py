"""Where TensorRT's compiled engines are kept, so that a model is compiled once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from onnxcam.graph.external import tensors_of
from onnxcam.providers import TENSORRT, Plan, Provider

_OF_THE_CACHE = ("trt_engine_cache_", "trt_dump_ep_context_", "trt_ep_context_")
_OF_THE_ENVIRONMENT = "ORT_TENSORRT_"


def with_engine_cache(plan: Plan, model: bytes, folder: Path | None) -> Plan:
    """The same plan, with options that make TensorRT keep the engines of this model.

    `folder` is where the model has its external data. Nothing is added to options about the cache
    that somebody gave, nor where ONNX Runtime's environment variables for TensorRT are in use:
    options would override those.
    """
    if not any(_is_left_to_us(provider) for provider in plan.providers):
        return plan
    identity = _identity(model, folder)
    return replace(
        plan,
        providers=tuple(
            _cached(provider, identity) if _is_left_to_us(provider) else provider
            for provider in plan.providers
        ),
    )


def engines_folder() -> Path:
    """In the user's cache folder, as the platform or XDG's base directories say."""
    said = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    caches = Path(said) if os.path.isabs(said) else Path("~", ".cache").expanduser()
    return caches / "onnxcam" / "tensorrt"


def _is_left_to_us(provider: Provider) -> bool:
    return (
        provider.name == TENSORRT
        and not any(option.startswith(_OF_THE_CACHE) for option in provider.options)
        and not any(variable.startswith(_OF_THE_ENVIRONMENT) for variable in os.environ)
    )


def _cached(provider: Provider, identity: bytes) -> Provider:
    """With a folder of its own for a model and these options; as it is where there can be none."""
    digest = hashlib.sha256(identity)
    digest.update(repr(sorted((k, str(v)) for k, v in provider.options.items())).encode())
    try:
        engines = engines_folder() / digest.hexdigest()[:32]
        engines.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a home that is read-only, or none
        return provider
    added: Mapping[str, Any] = {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines),
    }
    return replace(provider, options={**provider.options, **added})


def _identity(model: bytes, folder: Path | None) -> bytes:
    """Tells models apart by their weights too.

    ONNX Runtime names an engine by the names in the graph: a network trained anew would get the
    engine of the old one (microsoft/onnxruntime#6455).
    """
    digest = hashlib.sha256(model)
    for file in [] if folder is None else _external_files(model, folder):
        status = file.stat()
        digest.update(repr((str(file), status.st_size, status.st_mtime_ns)).encode())
    return digest.digest()


def _external_files(model: bytes, folder: Path) -> list[Path]:
    stored = tensors_of(onnx.ModelProto.FromString(model).graph)
    entries = (entry for tensor in stored for entry in tensor.external_data)
    return sorted({folder / entry.value for entry in entries if entry.key == "location"})
