"""Does a model differentiate, and is the emitted gradient right? Measured on the model itself."""

from onnxcam.check.report import Report, check

__all__ = ["Report", "check"]
