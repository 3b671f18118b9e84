"""Running a lot, and seeing where it runs: work ahead on threads, batches, placement on devices."""

from onnxcam.execution.pipeline import ordered
from onnxcam.execution.placing import Placement, placement

__all__ = ["Placement", "ordered", "placement"]
