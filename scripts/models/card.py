"""Attach to a model what is needed to feed it and to read its answer (onnx only)."""

import json
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"

BULKY = ("pkg.torch.onnx.stack_trace", "pkg.torch.onnx.fx_node", "pkg.torch.export")
"""Beginnings of exporter metadata keys that are dropped: they are large and name local files."""


def embed(model: onnx.ModelProto, preprocess: dict[str, object], labels: list[str]) -> None:
    """Write preprocessing and labels into the model's own metadata."""
    cards = {"onnxcam.preprocess": preprocess, "onnxcam.labels": labels}
    for key, value in cards.items():
        model.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))


def write_sidecar(path: Path, preprocess: dict[str, object], labels: list[str]) -> None:
    """Write preprocessing and labels next to a model that must stay as it is."""
    card = {"preprocess": preprocess, "labels": labels}
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def slim(model: onnx.ModelProto) -> None:
    """Drop metadata that is bulky or names local files; keep the module scopes of every node."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.value_info, *graph.initializer):
        kept = [p for p in holder.metadata_props if not p.key.startswith(BULKY)]
        del holder.metadata_props[:]
        holder.metadata_props.extend(kept)


def save(model: onnx.ModelProto, name: str) -> None:
    """Check a model and write it to models/ as a single file."""
    onnx.checker.check_model(model, full_check=True)
    path = MODELS / name
    path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"models/{name}: {path.stat().st_size:,} bytes")
