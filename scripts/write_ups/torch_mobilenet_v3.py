"""The class of pytorch-grad-cam, as it is used on torchvision's MobileNetV3-Large.

The recipe in its own framework: a batch of pictures 384 pixels wide and high, normalised by
ImageNet's mean and deviation; `GradCAM` and `GradCAMPlusPlus` at the last feature block, of a class
a picture or of the best one of each, and the mean of several layers; `show_cam_on_image`.

pytorch-grad-cam 1.5.7 has no CAM, and MobileNetV3-Large no weights for it: there is a Hardswish
between the two linear layers behind its average. So CAM is taken of the same network with one
linear layer as classifier, its rows handed to the library's base class as a method's weights.

Environment: pip install torch torchvision grad-cam==1.5.7 torchcam onnx onnxscript onnxruntime
Run from scripts/: python -m write_ups.torch_mobilenet_v3
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from references.cam_libraries import GRAD_CAM, dismissed, library
from references.derivation import distance
from references.imagenet import MEAN, STD, ImageNetPhotographs
from references.record import require
from references.torchvision_import import torchvision
from torch import nn

from write_ups.keep import Found, keep
from write_ups.rounding import drift
from write_ups.torch_models import answer, exported, in_precision, prepared, tensor

from pytorch_grad_cam.utils.image import preprocess_image, show_cam_on_image  # isort: skip
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # isort: skip

SIDE, LAST = 384, "features.16"
SEVERAL = ("features.12", "features.15", LAST)
"""Layers of which the mean is taken; the first is twice as wide and high as the others."""

FIRST = 12
"""The number of the first of them."""

RANK = 12
"""Of the classes, best first, the one that is explained where one a picture is given: its maps are
neither empty nor moved by rounding, at any of the layers, of any picture."""

EVERY = 8
"""Of the heatmaps each so-manieth row and column is recorded."""

SOURCE = ImageNetPhotographs(
    (
        "models/images/chelsea.png",
        "models/images/text_0_platform.png",
        "models/images/text_180_exit.png",
    ),
    (SIDE, SIDE),
)


class CAM(library.base_cam.BaseCAM):
    """Rows of a classifier that is one linear layer, as weights of the channels."""

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any
    ) -> np.ndarray:
        rows = self.model.classifier.weight.detach().numpy()
        return rows[[target.category for target in targets]]


@dataclass(frozen=True)
class Asked:
    """What the library is asked: which method, at which layers, of which classes (None: the best
    of each picture)."""

    method: type
    layers: Sequence[str]
    classes: Sequence[int] | None

    def heat(self, module: nn.Module, x: torch.Tensor) -> np.ndarray:
        """The heatmaps (N, H, W) in [0, 1]."""
        layers = [module.get_submodule(path) for path in self.layers]
        chosen = self.classes and [ClassifierOutputTarget(one) for one in self.classes]
        with dismissed(self.method(module, layers)) as extractor:
            return np.asarray(extractor(x, chosen))


class Known(nn.Module):
    """Answers what is known beforehand, whatever it is shown."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.answer


def with_known_start(module: nn.Module, x: torch.Tensor) -> nn.Module:
    """The same network for these pictures, with what lies before its layers computed once: the
    library is asked for them again and again, and double precision takes its time."""
    with torch.no_grad():
        start = Known(module.features[:FIRST](x))
    module.features = nn.Sequential(*(FIRST - 1) * [nn.Identity()], start, *module.features[FIRST:])
    return module


def as_published() -> nn.Module:
    return torchvision.models.mobilenet_v3_large(weights=None).eval()


def with_linear_classifier() -> nn.Module:
    module = as_published()
    module.classifier = nn.Linear(module.classifier[0].in_features, 1000)
    return module.eval()


def one_each(logits: np.ndarray) -> list[int]:
    """A class a picture that is not its best."""
    return np.argsort(-logits, axis=1)[:, RANK].tolist()


def found(name: str, module: nn.Module, methods: Mapping[str, type]) -> Found:
    """What the library says of one network by each of `methods`."""
    x = SOURCE.values()
    pictures = SOURCE.pictures()
    theirs = np.concatenate([preprocess_image(p / np.float32(255), MEAN, STD) for p in pictures])
    require("pytorch-grad-cam's input", distance(x, theirs), 1e-6)
    draws = prepared(name, module, SOURCE)
    output, activations = answer(module, x, SEVERAL)
    own = one_each(output)
    asked = {}
    for method, kind in methods.items():
        asked[f"{method}, best"] = Asked(kind, [LAST], None)
        asked[method] = Asked(kind, [LAST], own)
    if "gradcam" in methods:
        asked["gradcam, several layers"] = Asked(library.GradCAM, SEVERAL, own)

    def heats(given: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
        values = tensor(given, dtype)
        model = with_known_start(in_precision(module, dtype), values)
        return {key: one.heat(model, values) for key, one in asked.items()}

    exact = heats(x, "float64")
    first = next(iter(asked))
    cat = show_cam_on_image(pictures[0] / np.float32(255), exact[first][0], use_rgb=True)
    half = EVERY // 2
    return Found(
        name=name,
        source=SOURCE,
        model=exported(module, SOURCE),
        draws=draws,
        classes=own,
        output=output.astype(np.float32),
        activations=activations,
        arrays={key: heat[:, half::EVERY, half::EVERY] for key, heat in exact.items()},
        precision="float64",
        drift=drift(heats, x, exact),
        environment={
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "grad-cam": GRAD_CAM,
        },
        pictures={"overlay": cat},
    )


def networks() -> list[Found]:
    """The network as published, and the one that has CAM."""
    gradient = {"gradcam": library.GradCAM, "gradcam++": library.GradCAMPlusPlus}
    return [
        found("torch_mobilenet_v3", as_published(), gradient),
        found("torch_mobilenet_v3_linear", with_linear_classifier(), {"cam": CAM}),
    ]


if __name__ == "__main__":
    for each in networks():
        print(keep(each), flush=True)
