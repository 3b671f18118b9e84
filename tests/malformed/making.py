"""How models that nobody exports are made: a good little classifier with one fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from builders import classifier, head
from graphs import Build
from onnx import helper

Made = onnx.ModelProto | bytes
Make = Callable[[], Made]

HUGE = 2**62


@dataclass(frozen=True)
class Case:
    """A model, and the regular expression of what some door says of it; "" where all answer.

    `lay` puts files beside it.
    """

    make: Make
    says: str
    lay: Callable[[Path], Any] | None = None

    def write(self, folder: Path) -> Path:
        """The model as a file, with what lies beside it."""
        made = self.make()
        path = folder / "model.onnx"
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        if self.lay is not None:
            self.lay(folder)
        return path


CASES: dict[str, Case] = {}


def refused(says: str, lay: Callable[[Path], Any] | None = None, **cases: Make) -> None:
    """Models that have to be complained of in these words."""
    assert says
    CASES.update({name: Case(make, says, lay) for name, make in cases.items()})


def answered(**cases: Make) -> None:
    """Models that are odd, and right."""
    CASES.update({name: Case(make, "") for name, make in cases.items()})


def changed(change: Callable[[onnx.ModelProto], Any], **how: Any) -> Make:
    """A classifier after a change in place."""

    def make() -> onnx.ModelProto:
        model = classifier(**how)
        change(model)
        return model

    return make


def inserted(op: str, *more: Any, opset: int = 18, domain: str = "", **attrs: Any) -> Make:
    """A classifier with one node more between `relu1` and `conv2`; arrays become weights."""

    def make() -> onnx.ModelProto:
        b = Build(opset=opset)
        b.conv("image", "conv1", (6, 3, 3, 3), strides=[2, 2])
        b.op("Relu", ["conv1"], "relu1")
        given = [v if isinstance(v, str) else b.weight(f"given{k}", v) for k, v in enumerate(more)]
        b.op(op, ["relu1", *given], "odd", domain=domain, **attrs)
        b.conv("odd", "conv2", (8, 6, 3, 3))
        b.op("Relu", ["conv2"], "features")
        head(b)
        return b.model()

    return make


def attribute(op: str, name: str, value: Any) -> Make:
    """A classifier in which one attribute of the first such node is another."""

    def change(model: onnx.ModelProto) -> None:
        node = node_of(model, op)
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return changed(change)


def node_of(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def weight_of(model: onnx.ModelProto, name: str = "conv1.weight") -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)
