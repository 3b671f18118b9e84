"""onnx-ad: the file with derivatives, which reach its inputs; in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ad

from bench.contestants.prediction import session
from bench.task import Run, Task


def enter(task: Task) -> Run:
    adjoint = onnx_ad.reverse(_of_batch(onnx.load(task.model), task.batch), layout="onnx")
    for value in (*adjoint.graph.input, *adjoint.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "nadj":  # the number of seeds, behind the tensor's own axes
                dim.dim_value = 1
    made = adjoint.SerializeToString()
    del adjoint  # it need not be held while a session starts
    running = session(made, task)
    seed = np.zeros((task.batch, 1000, 1), np.float32)
    seed[:, task.classes[0]] = 1
    feeds = {"image": task.input, "adj_logits": seed}
    return lambda: running.run(["adj_image"], feeds)[0][0, ..., 0]


def _of_batch(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """The same for a batch of that size: it takes no open one."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model)
