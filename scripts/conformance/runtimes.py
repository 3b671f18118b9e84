"""The runtimes: how each is called, and why one cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.cases import Case

SCRIPTS = Path(__file__).resolve().parents[1]
RUNS = Path(__file__).resolve().parent / "runs"
CPU = "ONNX Runtime, CPU"
DEVICES = {
    "ONNX Runtime, CUDA": "CUDAExecutionProvider",
    "ONNX Runtime, TensorRT": "TensorrtExecutionProvider",
}


Takes = Callable[[Case], bool]
"""Which cases a runtime gets through in the time there is."""


def _everything(case: Case) -> bool:
    return True


class Missing(Exception):
    """A runtime that is not here; the message says what is lacking."""


@dataclass(frozen=True)
class Runtime:
    """A runner's command line; the jobs' file and a folder for its files are appended."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    takes: Takes = _everything


@dataclass(frozen=True)
class Places:
    """Where the runtimes are; None where it was not said."""

    onnxruntime_python: str = sys.executable
    openvino_python: str | None = None
    node: str | None = shutil.which("node")
    node_modules: Path | None = None
    chromium: str | None = shutil.which("chromium")
    include: Path | None = None


def cpu() -> Runtime:
    """What the others are held against."""
    return Runtime(CPU, _module(sys.executable, "onnx_runtime", "CPUExecutionProvider", "ALL"))


def plain_cpu() -> Runtime:
    """The same, every node by itself: other roundings, and 8-bit models dequantised."""
    return Runtime(CPU, _module(sys.executable, "onnx_runtime", "CPUExecutionProvider", "NONE"))


def find(places: Places, work: Path) -> Iterator[Runtime | tuple[str, str]]:
    """Every runtime, or its name and what is missing."""
    makers: dict[str, Callable[[], Runtime]] = {
        "OpenVINO": lambda: _openvino(places),
        "ONNX Runtime, Node.js": lambda: _node(places),
        "ONNX Runtime Web, wasm": lambda: _web(places, "ONNX Runtime Web, wasm", "wasm"),
        "ONNX Runtime Web, WebGPU": lambda: _web(
            places, "ONNX Runtime Web, WebGPU", "webgpu", lambda case: case.telling
        ),
        "ONNX Runtime, C": lambda: _c(places, work),
        "onnx reference": lambda: Runtime(
            "onnx reference", _module(sys.executable, "reference"), takes=lambda case: case.small
        ),
    }
    for name, provider in DEVICES.items():
        makers[name] = lambda name=name, provider=provider: _device(places, name, provider)
    for name, make in makers.items():
        try:
            yield make()
        except Missing as missing:
            yield name, str(missing)


def _module(python: str, name: str, *words: str) -> tuple[str, ...]:
    return (python, "-m", f"conformance.runs.{name}", *words)


def _openvino(places: Places) -> Runtime:
    python = places.openvino_python
    if python is None or not _imports(python, "openvino"):
        raise Missing("no --openvino-python with openvino in it")
    return Runtime("OpenVINO", _module(python, "open_vino"))


def _imports(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def _package(places: Places, name: str) -> Path:
    if places.node_modules is None or not (places.node_modules / name).is_dir():
        raise Missing(f"no --node-modules with {name} in it")
    return places.node_modules / name


def _node(places: Places) -> Runtime:
    if places.node is None:
        raise Missing("no --node")
    modules = _package(places, "onnxruntime-node").parent
    return Runtime(
        "ONNX Runtime, Node.js",
        (places.node, str(RUNS / "node.mjs")),
        {"NODE_PATH": str(modules)},
    )


def _web(places: Places, name: str, backend: str, takes: Takes = _everything) -> Runtime:
    if places.chromium is None:
        raise Missing("no --chromium")
    dist = _package(places, "onnxruntime-web") / "dist"
    return Runtime(
        name, _module(sys.executable, "web", places.chromium, str(dist), backend), takes=takes
    )


def _c(places: Places, work: Path) -> Runtime:
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler")
    if places.include is None or not (places.include / "onnxruntime_c_api.h").is_file():
        raise Missing("no --include with onnxruntime_c_api.h in it")
    import onnxruntime

    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"), None)
    if library is None:
        raise Missing("no libonnxruntime in the onnxruntime package")
    program = work / "c_api"
    source, include = str(RUNS / "c_api.c"), str(places.include)
    words = [compiler, "-D_GNU_SOURCE", "-O1", source, "-I", include, "-ldl", "-o", str(program)]
    subprocess.run(words, check=True)
    return Runtime("ONNX Runtime, C", (str(program), str(library)))


def _device(places: Places, name: str, provider: str) -> Runtime:
    asked = "import onnxruntime as o; print(*o.get_available_providers())"
    found = subprocess.run(
        [places.onnxruntime_python, "-c", asked], capture_output=True, text=True, check=False
    )
    if provider not in found.stdout.split():
        raise Missing(f"no {provider} in --onnxruntime-python")
    return Runtime(name, _module(places.onnxruntime_python, "onnx_runtime", provider, "ALL"))


def environment(runtime: Runtime) -> dict[str, str]:
    """That of this process, and what the runner needs."""
    return os.environ | {"PYTHONPATH": str(SCRIPTS)} | runtime.environment
