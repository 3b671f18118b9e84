"""Models that explain themselves already, as they were before that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

MADE_HERE = "onnxcam.prefix"
"""In the metadata: what the names of the added nodes, and of what they make, start with."""

ADDED = ("cam", "cam_")
"""What the names of added inputs and outputs are, or start with."""

_OF_THE_MODEL = ("onnxcam.preprocess", "onnxcam.labels")
"""Entries of the metadata that say something of the model, not of its explanation."""


def without_explanation(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what `onnxcam.rewrite` added; itself where that is nothing."""
    inside = {entry.key: entry.value for entry in model.metadata_props}
    if MADE_HERE not in inside:
        return model
    prefix = inside[MADE_HERE] + "/"
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    added = {node.name for node in graph.node if node.name.startswith(prefix)}
    names = {name for node in graph.node if node.name in added for name in node.output}
    _keep(graph.node, lambda node: node.name not in added)
    _keep(graph.output, lambda value: value.name not in names)
    _keep(graph.value_info, lambda value: value.name not in names)
    _keep(graph.input, lambda value: not _is_added(value.name))
    _keep(graph.initializer, lambda t: not (t.name.startswith(prefix) or _is_added(t.name)))
    _keep(
        made.metadata_props,
        lambda entry: not entry.key.startswith("onnxcam.") or entry.key in _OF_THE_MODEL,
    )
    return made


def _is_added(name: str) -> bool:
    return name == ADDED[0] or name.startswith(ADDED[1])


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    """Of a repeated field, what is wanted."""
    kept = [entry for entry in entries if wanted(entry)]
    copies = [type(entry)() for entry in kept]
    for copy, entry in zip(copies, kept, strict=True):
        copy.CopyFrom(entry)
    del entries[:]
    entries.extend(copies)
