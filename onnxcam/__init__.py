"""Explain any exported vision model from its ONNX file alone."""

from typing import TYPE_CHECKING

from onnxcam.on_demand import on_demand
from onnxcam.version import __version__

if TYPE_CHECKING:
    from onnxcam import targets
    from onnxcam.cards import Card
    from onnxcam.errors import (
        AbsentError,
        ExecutionError,
        FallbackWarning,
        ImageError,
        LayerError,
        MethodError,
        ModelError,
        OnnxCamError,
        PreprocessError,
        TargetError,
        UnsupportedOperatorError,
        VolumeError,
    )
    from onnxcam.explainer import Explainer, explain, find_layers
    from onnxcam.explanation import Explanation, Explanations, Target, side_by_side
    from onnxcam.finish import Finish
    from onnxcam.gradients import append_gradients
    from onnxcam.graph.layers import TargetLayer
    from onnxcam.graph.save import save_model
    from onnxcam.overlay import Look, View
    from onnxcam.preprocess import Preprocess
    from onnxcam.rewriting import rewrite
    from onnxcam.signals import Signal
    from onnxcam.volumes import Volume

__all__ = [
    "AbsentError",
    "Card",
    "ExecutionError",
    "Explainer",
    "Explanation",
    "Explanations",
    "FallbackWarning",
    "Finish",
    "ImageError",
    "LayerError",
    "Look",
    "MethodError",
    "ModelError",
    "OnnxCamError",
    "Preprocess",
    "PreprocessError",
    "Signal",
    "Target",
    "TargetError",
    "TargetLayer",
    "UnsupportedOperatorError",
    "View",
    "Volume",
    "VolumeError",
    "__version__",
    "append_gradients",
    "explain",
    "find_layers",
    "rewrite",
    "save_model",
    "side_by_side",
    "targets",
]

_HOMES = {
    "cards": ("Card",),
    "errors": (
        "AbsentError",
        "ExecutionError",
        "FallbackWarning",
        "ImageError",
        "LayerError",
        "MethodError",
        "ModelError",
        "OnnxCamError",
        "PreprocessError",
        "TargetError",
        "UnsupportedOperatorError",
        "VolumeError",
    ),
    "explainer": ("Explainer", "explain", "find_layers"),
    "explanation": ("Explanation", "Explanations", "Target", "side_by_side"),
    "finish": ("Finish",),
    "gradients": ("append_gradients",),
    "graph.layers": ("TargetLayer",),
    "graph.save": ("save_model",),
    "overlay": ("Look", "View"),
    "preprocess": ("Preprocess",),
    "rewriting": ("rewrite",),
    "signals": ("Signal",),
    "volumes": ("Volume",),
}

__getattr__ = on_demand(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
