"""How much of the heat lies inside the object: in segmentations and in volumes.

The energy-based pointing game of Score-CAM (arXiv:1910.01279): the positive part of the raw map,
enlarged to the input's size, its sum inside the object's exact mask over its sum everywhere. Mean
over the first 100 held-back pictures; a segmentation is asked about the shape that is there, the
volumes are the ones with a lesion. None is left out. Beside it, how often the maximum lies inside.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/models/energy.py [METHOD ...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapes
import volumes

import onnxcam
from onnxcam.interpolation import enlarged
from onnxcam.targets import Region

MODELS = Path(__file__).resolve().parents[2] / "models"
METHODS = ("gradcam", "hirescam", "layercam", "gradcam++", "xgradcam", "gradcam-elementwise")
COUNT = 100


@dataclass(frozen=True)
class Case:
    """A model-ready input, what is asked of it, and where the object is."""

    x: np.ndarray
    target: object
    mask: np.ndarray


def segmented() -> Iterator[Case]:
    for seed in shapes.HELD_BACK[:COUNT]:
        one = shapes.draw(seed)
        x = one.image.transpose(2, 0, 1)[None].astype(np.float32) / 255
        yield Case(x, Region(one.label + 1), one.mask)


def lesions() -> Iterator[Case]:
    drawn = (volumes.draw(seed) for seed in volumes.HELD_BACK[: 4 * COUNT])
    sick = (one for one in drawn if one.label)
    for _, one in zip(range(COUNT), sick, strict=False):
        yield Case(one.values[None, ..., None], 1, one.mask)


def measure(explainer: onnxcam.Explainer, cases: list[Case]) -> tuple[float, float]:
    """Mean share of the heat inside the mask, and how often the maximum is."""
    shares, hits = [], []
    for case in cases:
        raw = explainer.run(case.x, target=case.target)["raw"][0, 0]
        heat = enlarged(np.maximum(raw.astype(np.float64), 0), case.mask.shape)
        shares.append(float(heat[case.mask].sum() / heat.sum()) if heat.any() else 0.0)
        hits.append(bool(case.mask.flat[heat.argmax()]))
    return float(np.mean(shares)), float(np.mean(hits))


def main(names: list[str]) -> None:
    print("| model | method | layer | heat inside | maximum inside |\n|---|---|---|---|---|")
    for file, cases in (("shapes_segmentation", segmented), ("lesions_keras", lesions)):
        drawn = list(cases())
        for method in names or METHODS:
            explainer = onnxcam.Explainer(MODELS / f"{file}.onnx", method=method)
            share, hit = measure(explainer, drawn)
            layer = explainer.layer.name
            print(f"| `{file}` | {method} | `{layer}` | {share:.1%} | {hit:.0%} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
