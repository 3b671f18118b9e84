"""LSTM, GRU and RNN against ONNX Runtime's kernels, and in closed form where that is short."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from autodiff.numeric import complete, session_of, spread_values
from autodiff.programs import Program, check_cotangents, check_gradients, outputs_of
from onnx import TensorProto, helper, numpy_helper

from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import derivative_of
from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
LENGTH, BATCH, INPUT, HIDDEN = 3, 2, 3, 2
SHORTER = np.array([3, 1], np.int32)


def recurrent(
    op: str,
    of: str = "all",
    wrt: str | None = None,
    bias: bool = True,
    states: bool = False,
    lengths: bool = False,
    peepholes: bool = False,
    dynamic: bool = False,
    opset: int = 22,
    **attrs: Any,
) -> Program:
    """One operator; with `of` "all" the outputs are joined into one."""
    count = 2 if attrs.get("direction") == "bidirectional" else 1
    first = bool(attrs.get("layout"))
    rows = GATES[op] * HIDDEN
    state = (BATCH, count, HIDDEN) if first else (count, BATCH, HIDDEN)
    shapes = {
        "x": (BATCH, LENGTH, INPUT) if first else (LENGTH, BATCH, INPUT),
        "w": (count, rows, INPUT),
        "r": (count, rows, HIDDEN),
        "b": (count, 2 * rows) if bias else None,
        "lens": None,
        "h": state if states else None,
        "c": state if states and op == "LSTM" else None,
        "p": (count, 3 * HIDDEN) if peepholes else None,
    }
    feeds = {
        name: spread_values(shape, -1, 1, 7 + k).astype(np.float32)
        for k, (name, shape) in enumerate(shapes.items())
        if shape
    }
    names = ["lens" if n == "lens" and lengths else n if shapes[n] else "" for n in shapes]
    outputs = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    nodes = [helper.make_node(op, names[: 8 if op == "LSTM" else 6], outputs, hidden_size=HIDDEN, **attrs)]
    if of == "all":  # all with the same number of axes, joined along those of the steps
        if first:
            nodes += [helper.make_node("Unsqueeze", [y, "one"], [f"{y}4"]) for y in outputs[1:]]
            nodes.append(helper.make_node("Concat", ["Y", *(f"{y}4" for y in outputs[1:])], ["y"], axis=1))
        else:
            nodes += [helper.make_node("Unsqueeze", [y, "zero"], [f"{y}4"]) for y in outputs[1:]]
            nodes.append(helper.make_node("Concat", ["Y", *(f"{y}4" for y in outputs[1:])], ["y"], axis=0))
        of = "y"
    stored = {"zero": np.array([0]), "one": np.array([1])} | ({"lens": SHORTER} if lengths else {})
    return Program(_model(nodes, feeds, stored, of, opset, dynamic, first), feeds, tuple(wrt.split() if wrt else feeds), of)


def _model(
    nodes: list[onnx.NodeProto],
    feeds: dict[str, np.ndarray],
    stored: dict[str, np.ndarray],
    of: str,
    opset: int,
    dynamic: bool,
    first: bool,
) -> onnx.ModelProto:
    symbols = {"x": ("B", "T") if first else ("T", "B"), "h": (), "c": ()}
    symbols |= {"h": ("B",) if first else (None, "B"), "c": ("B",) if first else (None, "B")}
    inputs = []
    for name, value in feeds.items():
        dims: list[Any] = list(value.shape)
        for axis, symbol in enumerate(symbols.get(name, ()) if dynamic else ()):
            dims[axis] = symbol or dims[axis]
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    graph = helper.make_graph(
        nodes,
        "recurrent",
        inputs,
        [helper.make_tensor_value_info(of, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


WAYS = ("forward", "reverse", "bidirectional")
PROGRAMS = {
    f"{op}-{way}{'-lengths' if lengths else ''}{'-dynamic' if dynamic else ''}": recurrent(
        op, direction=way, states=way != "reverse", lengths=lengths, dynamic=dynamic and not lengths
    )
    for op in GATES
    for way in WAYS
    for lengths, dynamic in ((False, False), (True, False), (False, True))
}
PROGRAMS |= {
    f"{op}-{name}": recurrent(op, **given)
    for op in GATES
    for name, given in {
        "no bias": {"bias": False},
        "no state of known batch": {"states": False},
        "batch first": {"layout": 1, "states": True, "direction": "bidirectional"},
        "batch first dynamic": {"layout": 1, "states": True, "dynamic": True},
        "clip": {"clip": 0.6},
        "opset 14": {"opset": 14, "states": True},
        "last state alone": {"of": "Y_h", "wrt": "x"},
        "steps alone": {"of": "Y", "wrt": "x", "dynamic": True},
    }.items()
    if not (op != "RNN" and name == "clip" and False)
}
PROGRAMS |= {
    "LSTM-peepholes": recurrent("LSTM", peepholes=True, states=True),
    "LSTM-peepholes both ways": recurrent(
        "LSTM", peepholes=True, lengths=True, direction="bidirectional"
    ),
    "LSTM-input_forget": recurrent("LSTM", input_forget=1, states=True),
    "LSTM-cell alone": recurrent("LSTM", of="Y_c", states=True),
    "LSTM-activations": recurrent(
        "LSTM",
        activations=["HardSigmoid", "ScaledTanh", "Affine"],
        activation_alpha=[0.3, 1.2, 0.7],
        activation_beta=[0.4, 0.8, 0.1],
    ),
    "GRU-linear_before_reset": recurrent("GRU", linear_before_reset=1, states=True),
    "GRU-linear_before_reset both ways": recurrent(
        "GRU", linear_before_reset=1, direction="bidirectional", lengths=True
    ),
    "GRU-linear_before_reset no bias": recurrent("GRU", linear_before_reset=1, bias=False),
    "GRU-activations": recurrent("GRU", activations=["Sigmoid", "Softsign"]),
    "RNN-both ways": recurrent(
        "RNN",
        direction="bidirectional",
        activations=["LeakyRelu", "ScaledTanh"],
        activation_alpha=[0.1, 1.3],
        activation_beta=[0.0, 0.6],
    ),
}
PROGRAMS |= {
    f"RNN-{name}": recurrent("RNN", activations=[name], **given)
    for name, given in {
        "Relu": {},
        "relu": {},
        "Sigmoid": {},
        "Softplus": {},
        "Softsign": {},
        "Affine": {"activation_alpha": [0.4], "activation_beta": [0.2]},
        "Elu": {"activation_alpha": [0.7]},
        "LeakyRelu": {"activation_alpha": [0.2]},
        "ThresholdedRelu": {"activation_alpha": [0.3]},
        "HardSigmoid": {"activation_alpha": [0.25], "activation_beta": [0.45]},
        "HardSigmoid by default": {},
        "LeakyRelu by default": {},
    }.items()
    if " " not in name
}


@pytest.mark.parametrize("p", PROGRAMS.values(), ids=PROGRAMS)
def test_the_lowering_computes_what_the_kernel_does(p: Program) -> None:
    e = Emitter(Network(p.model))
    node = next(n for n in e.network.graph.nodes if n.op in GATES)
    derivative = derivative_of(node)
    assert isinstance(derivative, Lowering)
    made = dict(zip((t.name for t in node.outputs), derivative.lower(e, node), strict=True))
    tensors = {f"lowered_{name}": t for name, t in made.items()}
    named = {f"own_{name}": e.unary("Identity", e.network.tensors[name]) for name in made}
    results = session_of(complete(e, tensors | named, [])).run([*tensors, *named], p.feeds)
    for got, want in zip(results[: len(made)], results[len(made) :], strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("p", PROGRAMS.values(), ids=PROGRAMS)
def test_gradients(p: Program) -> None:
    check_gradients(p, tolerance=1e-3)


@pytest.mark.parametrize(
    "name", [n for n in PROGRAMS if "bidirectional" in n or "batch first" in n or "alone" in n]
)
def test_cotangents(name: str) -> None:
    check_cotangents(PROGRAMS[name])
