"""What a detector found, worked out with NumPy from tensors of the model alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from targets.boxes.detectors import CELLS, SIDE

from onnxcam.runtime import Runner


@dataclass
class Found:
    """Of each picture and row: confidence (N, rows, classes), corners (N, rows, 4) in pixels of
    the input, and the scores before any activation (N, rows, classes)."""

    sure: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def detections(self, n: int, cls: int | None = None) -> list[tuple[int, int]]:
        """(row, class) of a picture's detections, surest first: greedy suppression."""
        sure = self.sure[n] if cls is None else self.sure[n][:, [cls]]
        order = [int(row) for row in np.argsort(-sure.max(1), kind="stable")]
        kept: list[int] = []
        for row in order:
            box = self.boxes[n, row]
            if all(overlap(box, self.boxes[n, other]) < 0.5 for other in kept):
                kept.append(row)
        best = self.sure[n].argmax(1)
        return [(row, int(best[row]) if cls is None else cls) for row in kept]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    inner = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    return float(inner / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner))


def found(form: str, model: onnx.ModelProto, x: np.ndarray) -> Found:
    """The detections of one of `detectors.FORMS`."""
    return _READ[form.split(" ")[0]](_Seen(model, x))


class _Seen:
    """Any tensor of a model, float64."""

    def __init__(self, model: onnx.ModelProto, x: np.ndarray) -> None:
        self.model, self.x = model, x

    def __getitem__(self, name: str) -> np.ndarray:
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        if name not in [output.name for output in copy.graph.output]:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
        return Runner(copy).run({"image": self.x})[name].astype(np.float64)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def _corners(cxcywh: np.ndarray) -> np.ndarray:
    middle, half = cxcywh[..., :2], cxcywh[..., 2:] / 2
    return np.concatenate([middle - half, middle + half], -1)


def _yolov8(seen: _Seen) -> Found:
    logits = seen["logits"].transpose(0, 2, 1)
    return Found(_sigmoid(logits), _corners(seen["cxcywh"].transpose(0, 2, 1)), logits)


def _yolov5(seen: _Seen) -> Found:
    raw = _sigmoid(seen["raw"])
    sure = raw[..., 4:5] * raw[..., 5:]
    return Found(sure, _corners(seen["output"][..., :4]), _logit(sure))


def _yolox(seen: _Seen) -> Found:
    sure, boxes = [], []
    for level, side in enumerate((CELLS, CELLS // 2)):
        flat = [
            seen[f"{name}{level}"].reshape(len(seen.x), -1, side * side).transpose(0, 2, 1)
            for name in ("reg", "obj", "cls")
        ]
        sure.append(_sigmoid(flat[1]) * _sigmoid(flat[2]))
        ys, xs = np.mgrid[0:side, 0:side].reshape(2, -1)
        stride = SIDE / side
        middle = (flat[0][..., :2] + np.stack([xs, ys], 1)) * stride
        boxes.append(np.concatenate([middle, np.exp(flat[0][..., 2:]) * stride], -1))
    together = np.concatenate(sure, 1)
    return Found(together, _corners(np.concatenate(boxes, 1)), _logit(together))


def _detr(seen: _Seen) -> Found:
    logits = seen["logits"]
    sure = _softmax(logits)
    sure[..., -1] = 0  # no object
    return Found(sure, _corners(seen["pred_boxes"]) * SIDE, logits)


def _ssd(seen: _Seen) -> Found:
    logits = seen["logits"]
    sure = _softmax(logits)
    sure[..., 0] = 0  # background
    return Found(sure, seen["boxes"] * SIDE, logits)


def _suppressed(seen: _Seen) -> Found:
    sure = (_sigmoid(seen["logits"]) * _sigmoid(seen["objects"])).transpose(0, 2, 1)
    return Found(sure, seen["xyxy"], _logit(sure))


def _chosen(seen: _Seen) -> Found:
    logits = seen["logits"]
    return Found(_sigmoid(logits), seen["boxes"], logits)


_READ = {
    "yolov8": _yolov8,
    "yolov5": _yolov5,
    "yolox": _yolox,
    "detr": _detr,
    "ssd": _ssd,
    "suppressed": _suppressed,
    "suppressed,": _suppressed,
    "end": _chosen,
    "chosen": _chosen,
}
