"""The form in which the rest of onnxcam reads a model.

Most models are in it already and pass untouched. The others are rewritten to an equal model of
ordinary operators: what a person would have to do by hand before the gradient could be appended.
"""

from __future__ import annotations

import onnx

from onnxcam.graph.functions import without_functions
from onnxcam.graph.load import modernized
from onnxcam.graph.nchwc import unblocked
from onnxcam.graph.old_broadcasts import aligned
from onnxcam.graph.order import in_order
from onnxcam.graph.sanity import require_sane
from onnxcam.graph.sequences import without_sequences
from onnxcam.graph.stated_windows import with_stated_windows
from onnxcam.graph.wiring import require_wired


def in_normal_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or an equal one: nodes in order, opset 11 or newer, no model-local
    functions, no sequences of known elements, no layout of a runtime's own, no sizes to mistake.

    Raises `ModelError` where that cannot be done.
    """
    for step in (
        without_functions, require_wired, require_sane, in_order, aligned, modernized,
        unblocked, without_sequences, with_stated_windows,
    ):  # fmt: skip
        model = step(model)
    return model
