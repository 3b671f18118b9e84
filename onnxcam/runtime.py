"""Sessions of ONNX Runtime, which is imported only when the first one is made."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxcam.binding import runs_of
from onnxcam.errors import ExecutionError, FallbackWarning, nearest, one_line
from onnxcam.graph.external import detached
from onnxcam.providers import CPU, CUDA, TENSORRT, Plan, Provider, Providers, plan, short_name

Arrays = dict[str, np.ndarray]
"""Values of tensors by name."""

__all__ = ["CPU", "CUDA", "Arrays", "Runner", "import_runtime", "said"]


def import_runtime() -> Any:
    """The onnxruntime module; `ExecutionError` with the way out when it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise ExecutionError(
            "ONNX Runtime is not installed: pip install 'onnxcam[cpu]', or 'onnxcam[gpu]' on a "
            "machine with an NVIDIA GPU (not both, they overwrite each other)"
        ) from None
    return onnxruntime


FOLDER = "session.model_external_initializers_file_folder_path"
"""Where a model that comes as bytes has its external data."""

SPIN, SPIN_MICROSECONDS = "session.intra_op.spin_duration_us", "100"
"""How long a thread without work waits for more before it sleeps. Long enough to stay awake from
one node to the next; by itself ONNX Runtime lets it spin into the next run."""


class Runner:
    """One session: feeds by name in, outputs by name out.

    A model as bytes may have external data, in `folder`; that of a proto is known. With `profile`,
    the start of a file's name, what every node took and where it ran is recorded
    (`onnxcam.execution.placement`).

    `provider` is the one in use, by ONNX Runtime's name. Raises `ExecutionError` where none of
    those asked for by name starts; one that starts in place of another is a `FallbackWarning`.
    """

    def __init__(
        self,
        model: onnx.ModelProto | bytes,
        providers: Providers = None,
        folder: Path | None = None,
        profile: str | None = None,
    ) -> None:
        runtime = import_runtime()
        tried = plan(runtime, providers)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # Pictures are read and written on the cores where the session's idle threads spin.
        options.add_session_config_entry(SPIN, SPIN_MICROSECONDS)
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        try:
            if isinstance(model, onnx.ModelProto):
                model, folder = detached(model)
            data = model if isinstance(model, bytes) else model.SerializeToString()
            if folder is not None:
                options.add_session_config_entry(FOLDER, str(folder))
            if any(one.name == TENSORRT for one in tried.providers):
                from onnxcam.engine_cache import with_engine_cache  # what it imports, few need

                tried = with_engine_cache(tried, data, folder)
            self._session = _started(runtime, data, options, tried)
        except ExecutionError:
            raise
        except Exception as error:  # onnxruntime raises its own types, which have no common base
            raise ExecutionError(f"ONNX Runtime refuses the model: {said(error)}") from None
        self._quietly = runtime.RunOptions()
        self._quietly.log_severity_level = 4  # what goes wrong is raised
        self.provider: str = self._session.get_providers()[0]
        used = next(one for one in tried.providers if one.name == self.provider)
        self._runs = runs_of(runtime, self._session, used)
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Arrays, outputs: Collection[str] | None = None) -> Arrays:
        """The outputs of one run, by name: those asked for, or all of them.

        Of what runs on a device, only these leave it.
        """
        names = self.outputs if outputs is None else [n for n in self.outputs if n in outputs]
        try:
            values = self._runs(feeds, names, self._quietly)
        except ExecutionError:
            raise
        except Exception as error:
            raise ExecutionError(f"the model does not run: {said(error)}") from None
        return dict(zip(names, values, strict=True))

    def profiled(self) -> Path:
        """Where the record is that `profile` asked for; nothing is recorded any more."""
        return Path(self._session.end_profiling())


def require_outputs(wanted: Collection[str], known: Collection[str]) -> None:
    """Raise `ExecutionError` for an output that the model does not have."""
    for name in wanted:
        if name not in known:
            raise ExecutionError(f"the model has no output '{name}'{nearest(name, known)}")


def said(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without its error code, and lengths that misfit."""
    first = one_line(error)
    said = first.split(" : ", 3)[-1] if first.startswith("[ONNXRuntimeError]") else first
    lines = (line.strip() for line in str(error).splitlines())
    lengths = ", ".join(line for line in lines if line.startswith("index: "))
    return f"{said} {lengths}" if lengths else said


def _started(runtime: Any, data: bytes, options: Any, tried: Plan) -> Any:
    """A session on the first provider that starts; the fallback is said."""
    why = ""
    for first in range(tried.accepted):
        left = tried.providers[first:]
        try:
            session = _session(runtime, data, options, left)
        except Exception as error:
            if first + 1 == tried.accepted:
                raise
            why = why or f" ({said(error)})"
            continue
        used = session.get_providers()[0]
        names = [one.name for one in tried.providers]
        if names.index(used) >= tried.accepted:
            raise ExecutionError(
                f"{tried.providers[0].name} could not be started, ONNX Runtime fell back to "
                f"{used}; check the driver and libraries, or leave --provider out"
            )
        passed_over = [*tried.missing, *map(short_name, names[: names.index(used)])]
        if passed_over:
            warnings.warn(
                f"{' and '.join(passed_over)} could not be started{why}; running on "
                f"{short_name(used)}",
                FallbackWarning,
                stacklevel=4,
            )
        return session
    raise AssertionError("a plan accepts at least one provider")


def _session(runtime: Any, data: bytes, options: Any, providers: Sequence[Provider]) -> Any:
    if any(one.name in (CUDA, TENSORRT) for one in providers):
        _load_libraries()
    session = runtime.InferenceSession(
        data,
        options,
        providers=[one.name for one in providers],
        provider_options=[dict(one.options) for one in providers],
        enable_fallback=0,  # ONNX Runtime's own prints, and changes sessions in use
    )
    session._model_bytes = None  # weights held once more, to fall back with
    return session


@cache
def _load_libraries() -> None:
    """Those of CUDA and cuDNN that came as Python packages, where ONNX Runtime can find them."""
    load = getattr(import_runtime(), "preload_dlls", None)
    if load is not None:
        with redirect_stdout(sys.stderr):  # it prints what it does not find
            load()
