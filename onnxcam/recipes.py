"""Published ways of making heatmaps, as options of this package, beside the recommended one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.finish import Finish
from onnxcam.overlay import Look, View


@dataclass(frozen=True)
class Recipe:
    """Fixes method, score, heatmap and picture to what a write-up does.

    `options` are those of `Explainer`; `target` and `top` what is explained unless one says.
    `steps` says in words what that comes to.
    """

    name: str
    title: str
    steps: str
    options: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    top: int = 1

    def as_dict(self) -> dict[str, Any]:
        """What `onnxcam recipes --json` prints."""
        options = {
            name: vars(value) if isinstance(value, Finish | Look | View) else value
            for name, value in self.options.items()
        }
        about = {"name": self.name, "title": self.title, "steps": self.steps}
        return {**about, "target": self.target, "top": self.top, "options": options}


DEFAULT = Recipe(
    "default",
    "onnxcam's own: what is recommended where nothing else is asked for",
    "Grad-CAM of the logit at the automatic layer; positive part, min-max, linear; JET, the mean "
    "of colours and picture",
)

_VOLUME: dict[str, Any] = {
    "method": "gradcam-minmax",
    "score": "probability",
    "finish": Finish(again=False),
    "view": View(axis=1, index="middle", rotate=1),
}

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        DEFAULT,
        Recipe(
            "keras-volume",
            "Grad-CAM of a Keras 3-D classifier",
            "gradient of the probability, its mean a channel; activations and means each min-max "
            "scaled as a whole, multiplied, mean over channels; ReLU, min-max; four panels of the "
            "middle slice across axis 1, turned by 90 degrees",
            _VOLUME | {"look": Look(style="panel", colormap="rainbow", base="bone")},
        ),
        Recipe(
            "keras-volume-fusion",
            "the same, drawn so that the anatomy stays readable",
            "as keras-volume; heat under 0.3 and dark colours dropped, the background white, 0.4 "
            "of the colours on the slice at full strength, four times as large",
            _VOLUME | {"look": Look(style="fusion", enlarge=4)},
        ),
        Recipe(
            "keras-vgg16",
            "Grad-CAM of Keras VGG16",
            "Grad-CAM of the probability; ReLU, divided by the maximum; cubic; JET, half and half; "
            "the three best classes",
            {
                "score": "probability",
                "finish": Finish("max", "cubic", again=False),
                "look": Look(style="blend", colormap="jet", alpha=0.5),
            },
            top=3,
        ),
        Recipe(
            "pytorch-grad-cam",
            "the class of pytorch-grad-cam, as used on MobileNetV3-Large",
            "Grad-CAM (or --method cam, gradcam++) of the logit; ReLU, min-max before and after "
            "linear enlargement, the mean of several layers; show_cam_on_image: JET plus picture, "
            "divided by the maximum",
            {"method": "gradcam", "look": Look(style="add", colormap="jet")},
        ),
        Recipe(
            "paddle-res2net",
            "element-wise Grad-CAM of Paddle's Res2Net50_vd_26w_4s",
            "HiResCAM: activations times the gradient of the logit, element by element; ReLU, "
            "divided by the maximum; linear; JET * 0.4 + picture",
            {
                "method": "hirescam",
                "finish": Finish("max", again=False),
                "look": Look(style="sum", colormap="jet", alpha=0.4, beta=1.0),
            },
        ),
        Recipe(
            "densenet-cam",
            "class activation maps of DenseNet-121",
            "CAM: the classifier's weights times the last activations, for every class; min-max of "
            "the signed map; linear; JET * 0.3 + picture * 0.5",
            {
                "method": "cam",
                "finish": Finish("full", again=False),
                "look": Look(style="sum", colormap="jet", alpha=0.3, beta=0.5),
            },
            target="all",
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """A recipe by name. Raises `OnnxCamError` with the nearest names."""
    if name not in RECIPES:
        raise OnnxCamError(f"no recipe '{name}'{nearest(name, RECIPES)}; see `onnxcam recipes`")
    return RECIPES[name]
