"""Sessions of ONNX Runtime, which is imported only when the first one is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxcam.errors import ExecutionError, nearest, one_line
from onnxcam.graph.external import detached

Arrays = dict[str, np.ndarray]
"""Values of tensors by name."""

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


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


class Runner:
    """One session: feeds by name in, outputs by name out.

    A model as bytes may have external data, in `folder`; that of a proto is known.
    """

    def __init__(
        self,
        model: onnx.ModelProto | bytes,
        providers: Sequence[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        runtime = import_runtime()
        chosen = _providers(runtime, providers)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            if isinstance(model, onnx.ModelProto):
                model, folder = detached(model)
            data = model if isinstance(model, bytes) else model.SerializeToString()
            if folder is not None:
                options.add_session_config_entry(FOLDER, str(folder))
            self._session = runtime.InferenceSession(data, options, providers=chosen)
        except Exception as error:  # onnxruntime raises its own types, which have no common base
            raise ExecutionError(f"ONNX Runtime refuses the model: {said(error)}") from None
        self._quietly = runtime.RunOptions()
        self._quietly.log_severity_level = 4  # what goes wrong is raised
        self.provider: str = self._session.get_providers()[0]
        if providers and self.provider != chosen[0]:
            raise ExecutionError(
                f"{chosen[0]} could not be started, ONNX Runtime fell back to {self.provider}; "
                f"check the driver and libraries, or leave --provider out"
            )
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Arrays) -> Arrays:
        """All outputs of one run, by name."""
        try:
            values = self._session.run(None, feeds, self._quietly)
        except Exception as error:
            raise ExecutionError(f"the model does not run: {said(error)}") from None
        return dict(zip(self.outputs, values, strict=True))


def said(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without its error code, and lengths that misfit."""
    first = one_line(error)
    said = first.split(" : ", 3)[-1] if first.startswith("[ONNXRuntimeError]") else first
    lines = (line.strip() for line in str(error).splitlines())
    lengths = ", ".join(line for line in lines if line.startswith("index: "))
    return f"{said} {lengths}" if lengths else said


def _providers(runtime: Any, wanted: Sequence[str] | None) -> list[str]:
    """Full names of the providers wanted, the CPU behind them; short names ("cuda") are known."""
    available = runtime.get_available_providers()
    if not wanted:
        # Others than CUDA only on request, because some compile for minutes.
        return [name for name in (CUDA, CPU) if name in available]
    short = {name.removesuffix("ExecutionProvider").lower(): name for name in available}
    names = []
    for name in wanted:
        full = short.get(name.lower().removesuffix("executionprovider"))
        if full is None:
            near = nearest(name, [*short, *available])
            raise ExecutionError(
                f"execution provider '{name}' is not there{near}; this onnxruntime has: "
                f"{', '.join(available)}"
            )
        names.append(full)
    return [*names, CPU] if CPU not in names else names
