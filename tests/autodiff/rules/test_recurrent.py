"""LSTM, GRU and RNN against ONNX Runtime's kernels, and in closed form where that is short."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from autodiff.numeric import complete, session_of, spread_values
from autodiff.programs import Program, check_cotangents, check_gradients
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
    wrt = tuple(wrt.split() if wrt else feeds)
    if lengths:
        feeds["lens"] = SHORTER
    names = ["lens" if n == "lens" and lengths else n if shapes[n] else "" for n in shapes]
    outputs = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    nodes = [
        helper.make_node(
            op, names[: 8 if op == "LSTM" else 6], outputs, hidden_size=HIDDEN, **attrs
        )
    ]
    stored = {}
    if of == "all":  # joined along the steps
        of, stored["axis"] = "y", np.array([int(first)])
        longer = [f"{y}_step" for y in outputs[1:]]
        pairs = zip(outputs[1:], longer, strict=True)
        nodes += [helper.make_node("Unsqueeze", [y, "axis"], [step]) for y, step in pairs]
        nodes.append(helper.make_node("Concat", ["Y", *longer], ["y"], axis=int(first)))
    return Program(_model(nodes, feeds, stored, of, opset, dynamic, first), feeds, wrt, of)


def _model(
    nodes: list[onnx.NodeProto],
    feeds: dict[str, np.ndarray],
    stored: dict[str, np.ndarray],
    of: str,
    opset: int,
    dynamic: bool,
    first: bool,
) -> onnx.ModelProto:
    state = ("B",) if first else (None, "B")
    symbols = {"x": ("B", "T") if first else ("T", "B"), "h": state, "c": state, "lens": ("B",)}
    inputs = []
    for name, value in feeds.items():
        dims: list[Any] = list(value.shape)
        for axis, symbol in enumerate(symbols.get(name, ()) if dynamic else ()):
            dims[axis] = symbol or dims[axis]
        elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        inputs.append(helper.make_tensor_value_info(name, elem_type, dims))
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
        op, direction=way, states=way != "reverse", lengths=lengths, dynamic=dynamic
    )
    for op in GATES
    for way in WAYS
    for lengths, dynamic in ((False, False), (True, False), (True, True))
}
PROGRAMS |= {
    f"{op}-{name}": recurrent(op, **given)
    for op in GATES
    for name, given in {
        "no bias": {"bias": False},
        "no state of known batch": {"states": False},
        "clip": {"clip": 0.6},
        "opset 14": {"opset": 14, "states": True},
        "last state alone": {"of": "Y_h", "wrt": "x"},
        "steps alone": {"of": "Y", "wrt": "x", "dynamic": True},
    }.items()
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
    "LSTM-activations in small letters": recurrent("LSTM", activations=["sigmoid", "tanh", "relu"]),
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
        "Sigmoid": {},
        "Softplus": {},
        "Softsign": {},
        "Affine": {"activation_alpha": [0.4], "activation_beta": [0.2]},
        "Elu": {"activation_alpha": [0.7]},
        "LeakyRelu": {"activation_alpha": [0.2]},
        "ThresholdedRelu": {"activation_alpha": [0.3]},
        "HardSigmoid": {"activation_alpha": [0.25], "activation_beta": [0.45]},
    }.items()
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
    "name", [n for n in PROGRAMS if n.endswith("bidirectional-lengths-dynamic") or "alone" in n]
)
def test_cotangents(name: str) -> None:
    check_cotangents(PROGRAMS[name])


def time_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its batch-first operator, for which ONNX Runtime has no kernel, between
    transpositions of all it takes and gives."""
    (at,) = (i for i, node in enumerate(model.graph.node) if node.op_type in GATES)
    node = onnx.NodeProto()
    node.CopyFrom(model.graph.node[at])
    del node.attribute[[a.name for a in node.attribute].index("layout")]
    made = []
    for i in (0, 5, 6):
        if i < len(node.input) and node.input[i]:
            name, node.input[i] = node.input[i], f"{node.input[i]}_time_first"
            made.append(helper.make_node("Transpose", [name], [node.input[i]], perm=[1, 0, 2]))
    made.append(node)
    for i, name in enumerate(node.output):
        node.output[i] = f"{name}_time_first"
        perm = [1, 0, 2] if i else [2, 0, 1, 3]
        made.append(helper.make_node("Transpose", [node.output[i]], [name], perm=perm))
    rest = [*model.graph.node[:at], *made, *model.graph.node[at + 1 :]]
    del model.graph.node[:]
    model.graph.node.extend(rest)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("op", GATES)
def test_with_the_batch_first_it_is_the_same_transposed(op: str, dynamic: bool, way: str) -> None:
    turned = {"x", "h", "c"}
    p, q = (
        recurrent(op, direction=way, states=True, lengths=True, dynamic=dynamic, **layout)
        for layout in ({}, {"layout": 1})
    )
    feeds = {k: v.swapaxes(0, 1) if k in turned else v for k, v in p.feeds.items()}
    names = [f"{name}_grad" for name in p.wrt]
    plain, batch_first = (append_gradients(each.model, "y", each.wrt) for each in (p, q))
    want = session_of(plain).run(names, p.feeds)
    got = session_of(time_first(batch_first)).run(names, feeds)
    for name, a, b in zip(p.wrt, got, want, strict=True):
        np.testing.assert_allclose(a.swapaxes(0, 1) if name in turned else a, b, atol=1e-5)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("opset", [7, 8, 9, 10])
def test_older_models_are_converted(op: str, opset: int) -> None:
    p = recurrent(op, of="Y", opset=opset, states=True)
    check_gradients(p, tolerance=1e-3)


@pytest.mark.parametrize("op", GATES)
def test_steps_behind_the_end_of_a_sequence_get_nothing(op: str) -> None:
    p = recurrent(op, direction="bidirectional", lengths=True, wrt="x")
    model = append_gradients(p.model, of="y", wrt=["x"])
    (dx,) = session_of(model).run(["x_grad"], p.feeds)
    for k, length in enumerate(SHORTER):
        assert np.all(dx[length:, k] == 0)
        assert np.all(dx[:length, k] != 0)


def test_a_linear_recurrence_in_closed_form() -> None:
    """y_t = x_t W^T + y_(t-1) R^T, so that x_t reaches the last state by W and powers of R."""
    linear = {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}
    p = recurrent("RNN", of="Y_h", bias=False, wrt="x", **linear)
    model = append_gradients(p.model, of="Y_h", wrt=["x"])
    (dx,) = session_of(model).run(["x_grad"], p.feeds)
    w, r = p.feeds["w"][0], p.feeds["r"][0]
    for t in range(LENGTH):
        passed = np.ones(HIDDEN) @ np.linalg.matrix_power(r, LENGTH - 1 - t) @ w
        np.testing.assert_allclose(dx[t], np.tile(passed, (BATCH, 1)), rtol=1e-5)


def test_an_unknown_activation_is_named() -> None:
    p = recurrent("RNN", activations=["Sinc"])
    with pytest.raises(UnsupportedOperatorError, match="'Sinc'"):
        append_gradients(p.model, of="y", wrt=["x"])
