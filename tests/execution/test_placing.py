"""Where nodes run, from ONNX Runtime's record of a run."""

from __future__ import annotations

import numpy as np
import pytest
from builders import classifier, torch_like
from graphs import pictures

import onnxcam
from onnxcam.errors import ExecutionError
from onnxcam.execution import Placement, placement
from onnxcam.execution.placing import Node, counted, zeros
from onnxcam.providers import CPU, CUDA


def test_the_models_nodes_and_those_of_the_heat() -> None:
    plain = placement(torch_like(), ["cpu"])
    assert plain.heat == ()
    assert len(plain.model) == len(plain.nodes) > 0
    found = placement(onnxcam.rewrite(torch_like()), ["cpu"])
    assert found.provider == CPU
    assert "ArgMax" in counted(node.op for node in found.heat)
    assert "Conv" in " ".join(counted(node.op for node in found.model))
    assert {node.provider for node in found.nodes} == {CPU}
    assert found.fallen_back == ()
    assert all(node.seconds >= 0 for node in found.nodes)


def test_with_feeds_of_ones_own() -> None:
    model = classifier(("batch", 3, 16, 16))
    assert placement(model, "cpu", {"image": pictures(3)}).nodes
    with pytest.raises(ExecutionError, match="does not run"):
        placement(model, "cpu", {"image": pictures(1, side=8)})


def test_what_is_fed_where_nothing_is_given() -> None:
    (x,) = zeros(classifier(("batch", 3, "height", "width"))).values()
    assert x.shape == (1, 3, 224, 224)
    assert x.dtype == np.float32
    rewritten = onnxcam.rewrite(classifier())
    assert set(zeros(rewritten)) == {"image"}  # the class may be left out


def test_what_a_device_leaves_to_the_cpu() -> None:
    nodes = (
        Node("conv", "Conv", CUDA, 1e-3),
        Node("shape", "Shape", CPU, 1e-6),
        Node("onnxcam/Mul_1", "Mul", CUDA, 1e-5),
        Node("onnxcam/Col2Im_2", "Col2Im", CPU, 1e-3),
    )
    found = Placement(CUDA, nodes)
    assert [node.op for node in found.fallen_back] == ["Shape", "Col2Im"]
    assert [node.op for node in found.heat] == ["Mul", "Col2Im"]
    assert str(found).splitlines() == [
        "model: 1 on cuda, 1 on cpu",
        "heat: 1 on cuda, 1 on cpu",
        "on the CPU instead of cuda: Shape (1), Col2Im (1)",
    ]
    assert str(Placement(CPU, nodes[:1])) == "model: 1 on cuda\nheat: no nodes"
