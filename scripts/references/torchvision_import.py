"""torchvision, also where its compiled operators do not fit the installed torch.

Only its network definitions are needed here. Its import stops when the detection operators are
missing, so they are declared, never to be called.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError:
    for _name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[_name]
    _LIBRARY = torch.library.Library("torchvision", "DEF")
    for _operator in ("nms", "qnms"):
        _LIBRARY.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
