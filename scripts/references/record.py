"""Record what a framework says.

From scripts/: python -m references.record torch [NETWORK ...]
"""

import argparse
import gzip
import tempfile
import time
from importlib import import_module
from pathlib import Path

import onnx

from .derivation import CONDITIONING, Source, derive, distance
from .locate import locate, predict
from .rebuild import RECORDINGS, ROOT, Reference, build, read, write
from .strip import strip

REBUILT = 1e-5
"""How far the rebuilt model's answer may be from the exported one's."""

EXPORTED = 1e-4
"""How far the exported model's answer may be from the framework's."""


def main() -> None:
    """Record the named networks of one framework, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=("torch", "keras", "paddle"))
    parser.add_argument("network", nargs="*", help="default: every network of the framework")
    arguments = parser.parse_args()
    framework = import_module(f".from_{arguments.framework}", __package__)
    for name in arguments.network or framework.NETWORKS:
        started = time.perf_counter()
        reference = record(name, framework.NETWORKS[name](), framework.environment())
        print(summary(reference), f"{time.perf_counter() - started:.0f} s", flush=True)


def record(name: str, source: Source, environment: dict[str, str]) -> Reference:
    """Derive one network, write its recording, and read it back to see that it still answers."""
    derivation = derive(source)
    x = derivation.x
    exported = export(source)
    answer = predict(exported, x)
    require("exported answer", distance(answer, derivation.output), EXPORTED)
    for path, drift in derivation.drift.items():
        require(f"float32 drift at {path}", drift, CONDITIONING)
    graph, refills, scales = strip(exported, source.draws)
    cams = {f"cam {path}": cam for path, cam in derivation.maps.items()}
    reference = Reference(
        name=name,
        model=source.published or store(name, graph),
        input=source.input,
        classes=derivation.classes,
        layers=locate(exported, x, derivation.activations),
        precision=source.precision,
        environment=environment,
        drift={path: float(f"{drift:.1e}") for path, drift in derivation.drift.items()},
        refills=[] if source.published else refills,
        arrays={"output": derivation.output, **cams, **({} if source.published else scales)},
    )
    write(reference)
    require("rebuilt answer", distance(predict(build(read(name)), x), answer), REBUILT)
    return reference


def export(source: Source) -> onnx.ModelProto:
    """The network as its framework exports it, or as it was published."""
    if source.published:
        return onnx.load(ROOT / source.published)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        source.export(path)
        return onnx.load(path)


def store(name: str, graph: onnx.ModelProto) -> str:
    """Write a stripped graph, and say where (relative to the repository)."""
    path = RECORDINGS / name / "graph.onnx.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(graph.SerializeToString(), mtime=0))
    return path.relative_to(ROOT).as_posix()


def require(what: str, value: float, limit: float) -> None:
    """Stop a recording that would not be worth trusting."""
    if not value <= limit:
        raise ValueError(f"{what}: {value:.1e} is more than {limit:.0e}")


def summary(reference: Reference) -> str:
    """One line per recording: its size and how well conditioned it is."""
    size = sum(file.stat().st_size for file in (RECORDINGS / reference.name).iterdir())
    drift = ", ".join(f"{path} {value:.0e}" for path, value in reference.drift.items())
    return f"{reference.name}: {size / 1000:.0f} kB; drift {drift};"


if __name__ == "__main__":
    main()
