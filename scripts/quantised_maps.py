"""How alike the heatmaps of a quantised classifier and of the float one are.

Quantises EfficientNet-Lite0 as deployed.variants does it, and prints Spearman's rank correlation
of the Grad-CAM maps for the float model's best class, over random crops of pictures.

Environment: pip install -e '.[cpu]' onnx-ir sympy scikit-image
Run from the folder scripts/: python -m quantised_maps [FOLDER]   (default: scikit-image's pictures)
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from deployed.variants import VARIANTS

import onnxcam

MODEL = Path(__file__).resolve().parents[1] / "models" / "efficientnet_lite0.onnx"
SIZE = 224
CROPS = 4
NAMES = ("qdq-u8", "qdq-s8-channel", "qdq-u16", "qoperator-u8", "qoperator-s8-channel", "dynamic")


def crops(folder: Path) -> list[np.ndarray]:
    """Random crops of every colour picture of a folder, uint8 RGB (H, W, 3)."""
    rng = np.random.default_rng(0)
    found = []
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path))
        if picture is None or min(picture.shape[:2]) < SIZE or _is_grey(picture):
            continue
        for _ in range(CROPS):
            height, width = (int(side * rng.uniform(0.6, 1)) for side in picture.shape[:2])
            top = rng.integers(0, picture.shape[0] - height + 1)
            left = rng.integers(0, picture.shape[1] - width + 1)
            found.append(picture[top : top + height, left : left + width, ::-1].copy())
    return found


def _is_grey(picture: np.ndarray) -> bool:
    return bool(np.ptp(picture.astype(int), axis=2).max() == 0)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of two maps; equal values share a rank."""
    ranks = []
    for values in (a.ravel(), b.ravel()):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks.append(((2 * ends - counts - 1) / 2)[inverse])
    return float(np.corrcoef(*ranks)[0, 1])


def compare(path: Path, images: list[np.ndarray], reference: list[onnxcam.Explanation]) -> str:
    """One row of the table."""
    explainer = onnxcam.Explainer(path)
    alike, same = [], 0
    for image, expected in zip(images, reference, strict=True):
        alike.append(spearman(explainer.explain(image, expected.target.index).raw, expected.raw))
        same += explainer.explain(image).target.index == expected.target.index
    return f"{np.mean(alike):.3f} | {np.quantile(alike, 0.05):.3f} | {same / len(images):.0%}"


def main() -> None:
    logging.disable(logging.WARNING)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
    else:
        import skimage.data

        folder = Path(skimage.data.__file__).parent
    images = crops(folder)
    plain = onnxcam.Explainer(MODEL)
    reference = [plain.explain(image) for image in images]
    print(f"{len(images)} crops\n")
    print("| variant | mean correlation | 5th percentile | same best class |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        for name in NAMES:
            path = Path(made) / f"{name}.onnx"
            VARIANTS[name](MODEL, path)
            print(f"| {name} | {compare(path, images, reference)} |", flush=True)


if __name__ == "__main__":
    main()
