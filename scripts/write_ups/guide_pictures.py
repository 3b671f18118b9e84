"""The pictures of three guides: what the recipes make of EfficientNet-Lite0 and a cat.

The recorded networks have drawn weights, and their heat lies anywhere; this one has learned.

Environment: onnxcam's own. Run from scripts/: python -m write_ups.guide_pictures
"""

from pathlib import Path

import onnxcam
from onnxcam.explanation import Explanation
from onnxcam.images import Picture, write_image
from onnxcam.overlay import grid

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "images" / "write-ups"
MODEL, CAT = ROOT / "models" / "efficientnet_lite0.onnx", ROOT / "models" / "images" / "chelsea.png"


def one(recipe: str, target: int | None = None, **options: object) -> Explanation:
    """By a recipe, of the best class unless another is given."""
    explainer = onnxcam.Explainer.from_recipe(MODEL, recipe, **options)
    found = explainer.explain(CAT, target)
    assert isinstance(found, Explanation)
    return found


def pytorch_grad_cam() -> Picture:
    """Three methods of one class."""
    found = [one("pytorch-grad-cam", method=name) for name in ("cam", "gradcam", "gradcam++")]
    return grid([each.overlay() for each in found], [each.method for each in found], 3)


def paddle_res2net() -> Picture:
    """The map on its own, and laid over the picture."""
    alone = one("paddle-res2net", finish=onnxcam.Finish("max", "nearest", again=False))
    cells = [
        alone.overlay(style="heatmap", colormap="viridis"),
        one("paddle-res2net").overlay(),
    ]
    return grid(cells, ["raw heatmap", "JET * 0.4 + picture"], 2)


def densenet_cam() -> Picture:
    """The best class, and one that speaks of something else."""
    found = [one("densenet-cam", target) for target in (285, 797)]
    return grid([each.overlay() for each in found], [str(each.target) for each in found], 2)


PICTURES = {
    "pytorch-grad-cam": pytorch_grad_cam,
    "paddle-res2net": paddle_res2net,
    "densenet-cam": densenet_cam,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        write_image(FOLDER / f"{name}.jpg", draw())
