"""Find a framework's activations among the tensors of the exported graph, by their values.

Exporters rename, transpose and fuse: names cannot be trusted, values can.
"""

from itertools import permutations

import numpy as np
import onnx
import onnxruntime as ort

from .derivation import distance

SAME = 1e-4


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A quiet two-thread session."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def predict(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The first output of the model."""
    running = session(model)
    return running.run(None, {running.get_inputs()[0].name: x})[0]


def intermediate_values(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor a node computes, in graph order."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    outputs = {value.name for value in exposed.graph.output}
    names = [
        name
        for node in model.graph.node
        if node.op_type != "Constant"
        for name in node.output
        if name
    ]
    exposed.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in outputs
    )
    running = session(exposed)
    values = running.run(names, {running.get_inputs()[0].name: x})
    return dict(zip(names, values, strict=True))


def locate(
    model: onnx.ModelProto, x: np.ndarray, activations: dict[str, np.ndarray]
) -> dict[str, str]:
    """For every layer path, the first tensor that holds its activations in some axis order."""
    computed = intermediate_values(model, x)
    return {path: _first_equal(computed, wanted, path) for path, wanted in activations.items()}


def _first_equal(computed: dict[str, np.ndarray], wanted: np.ndarray, path: str) -> str:
    for name, values in computed.items():
        if values.size == wanted.size and values.ndim == wanted.ndim and _equal(values, wanted):
            return name
    raise LookupError(f"no tensor of the exported graph holds the activations of {path}")


def _equal(values: np.ndarray, wanted: np.ndarray) -> bool:
    orders = [(0, *order) for order in permutations(range(1, wanted.ndim))]
    return any(
        distance(values, wanted.transpose(order)) < SAME
        for order in orders
        if values.shape == tuple(wanted.shape[axis] for axis in order)
    )
