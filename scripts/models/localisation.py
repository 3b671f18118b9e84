"""Measure the shapes models on the held-back pictures: accuracy, and does Grad-CAM hit the object?

The heatmap is built here from the formula alone, independently of any package: with global average
pooling and one dense layer, Grad-CAM is relu(sum_k w[class, k] A[k]) up to a positive factor. It
counts as a hit when the maximum of the upsampled map lies on the object's mask. No picture is left
out; a picture with a wrong prediction is explained for the class that was predicted.

Environment: pip install onnx onnxruntime numpy opencv-python-headless
Run from the repository root: python scripts/models/localisation.py
"""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import shapes

MODELS = Path(__file__).resolve().parents[2] / "models"


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Every weight by name, whether the exporter kept it as initializer or as Constant node."""
    found = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return found


def head(graph: onnx.GraphProto) -> tuple[str, np.ndarray]:
    """Name of the last feature map and the dense layer's weights (classes, channels)."""
    weights = constants(graph)
    dense = next(n for n in reversed(graph.node) if n.op_type in ("Gemm", "MatMul"))
    matrix = weights[dense.input[1]]
    if matrix.shape[0] != len(shapes.CLASSES):
        matrix = matrix.T
    pools = ("GlobalAveragePool", "ReduceMean")
    pool = next(n for n in reversed(graph.node) if n.op_type in pools)
    return pool.input[0], matrix


def measure(path: Path, images: np.ndarray, labels: np.ndarray, masks: np.ndarray) -> dict:
    """Accuracy and share of heatmap maxima on the object, with the tensor that was looked at."""
    model = onnx.load(path)
    feature_map, weights = head(model.graph)
    output = model.graph.output[0].name
    model.graph.output.add(name=feature_map)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tensor = images.astype(np.float32) / 255
    if session.get_inputs()[0].shape[1] == 3:
        tensor = tensor.transpose(0, 3, 1, 2)
    scores, maps = session.run([output, feature_map], {session.get_inputs()[0].name: tensor})
    if maps.shape[1] != weights.shape[1]:
        maps = maps.transpose(0, 3, 1, 2)
    predicted = scores.argmax(1)
    cams = np.maximum(np.einsum("nk,nkhw->nhw", weights[predicted], maps), 0)
    hits = []
    for cam, mask in zip(cams, masks, strict=True):
        large = cv2.resize(cam, (shapes.SIZE, shapes.SIZE), interpolation=cv2.INTER_LINEAR)
        hits.append(bool(mask.flat[large.argmax()]))
    return {
        "model": path.name,
        "accuracy": float((predicted == labels).mean()),
        "localisation": float(np.mean(hits)),
        "feature_map": feature_map,
        "feature_map_shape": list(maps.shape[1:]),
    }


def main() -> None:
    held_back = shapes.draw_many(shapes.HELD_BACK)
    for path in (MODELS / f"shapes_{name}.onnx" for name in ("keras", "paddle", "torch")):
        print(json.dumps(measure(path, *held_back)))


if __name__ == "__main__":
    main()
