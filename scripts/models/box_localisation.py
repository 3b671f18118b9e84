"""Measure the heat of one box of shapes_detector.onnx: how much of it lies on the box's object?

On each held-back picture of `scenes.py` every detection is explained by itself. Of its heatmap, at
the picture's size, the share of the heat (its sum, the energy of the pointing game of Score-CAM)
inside the box of the object that it overlaps is taken, and on its mask; and that in all other
objects' boxes together. No
detection is left out but those that overlap no object by half.

Environment: pip install -e .[cpu]
Run from the repository root: python scripts/models/box_localisation.py
"""

import json
from pathlib import Path

import numpy as np
import scenes

import onnxcam

MODELS = Path(__file__).resolve().parents[2] / "models"
METHODS = ("gradcam", "hirescam", "layercam", "gradcam-elementwise")
SURE = 0.3
MOST = 5


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    inner = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    return float(inner / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner))


def measure(
    method: str,
    layer: str | None = None,
    seeds: range = scenes.HELD_BACK,
    model: Path = MODELS / "shapes_detector.onnx",
) -> dict[str, object]:
    """Shares of the heat, averaged over detections, and how well the detector does."""
    explainer = onnxcam.Explainer(model, method=method, layer=layer)
    shares: list[tuple[float, float, float]] = []
    found = objects = right = 0
    for seed in seeds:
        scene = scenes.draw(seed)
        objects += len(scene.labels)
        explained = explainer.explain(scene.image, top=MOST)
        assert isinstance(explained, list)
        for one in explained:
            if one.target.probability < SURE:
                continue
            assert one.target.box is not None
            found += 1
            overlaps = [overlap(np.array(one.target.box), box) for box in scene.boxes]
            at = int(np.argmax(overlaps))
            if overlaps[at] < 0.5:
                continue
            right += bool(scene.labels[at] == one.target.index)
            energy = one.heatmap.astype(np.float64)
            boxed = [_inside(energy, box) for box in scene.boxes]
            own, total = boxed[at], energy.sum()
            shares.append((own, energy[scene.masks[at]].sum(), sum(boxed) - own) / total)
    box, mask, others = np.mean(shares, 0)
    return {
        "method": method,
        "layer": explainer.layer.name,
        "objects": objects,
        "detections": found,
        "right": right,
        "share in its box": round(float(box), 3),
        "on its object": round(float(mask), 3),
        "in the other boxes": round(float(others), 3),
    }


def _inside(energy: np.ndarray, box: np.ndarray) -> float:
    x1, y1, x2, y2 = (int(side) for side in box)
    return float(energy[y1:y2, x1:x2].sum())


def main() -> None:
    for layer in (None, "cat", "silu_2"):
        for method in METHODS:
            print(json.dumps(measure(method, layer)), flush=True)


if __name__ == "__main__":
    main()
