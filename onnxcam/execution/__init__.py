"""Running a lot, and seeing where it runs: work ahead on threads, batches, placement on devices."""

from typing import TYPE_CHECKING

from onnxcam.on_demand import on_demand

if TYPE_CHECKING:
    from onnxcam.execution.pipeline import ordered
    from onnxcam.execution.placing import Placement, placement

__all__ = ["Placement", "ordered", "placement"]

_HOMES = {"pipeline": ("ordered",), "placing": ("Placement", "placement")}

__getattr__ = on_demand(__name__, _HOMES)
