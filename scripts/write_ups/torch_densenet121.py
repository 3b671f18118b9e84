"""Class activation maps of torchvision's DenseNet-121 with a head of two classes.

The recipe in its own framework: the features behind the last normalisation and its ReLU (in
`forward`, so no module has them) times each row of the classifier, one map a class; min-max of
the signed map; enlarged to the original picture by OpenCV; JET * 0.3 + picture * 0.5.

Environment: pip install torch torchvision onnx onnxscript onnxruntime opencv-python-headless pillow
Run from scripts/: python -m write_ups.torch_densenet121
"""

import numpy as np
import torch
from PIL import Image
from references.derivation import distance
from references.imagenet import MEAN, STD, ImageNetPhotographs
from references.record import require
from references.torchvision_import import torchvision
from torch import nn
from torch.nn import functional as F

from write_ups.adding import with_heat
from write_ups.keep import Found, keep
from write_ups.rounding import drift
from write_ups.torch_models import answer, exported, in_precision, prepared, tensor

NAME, LAST, SIDE, CLASSES = "torch_densenet121", "features.norm5", 224, 2
SOURCE = ImageNetPhotographs(("models/images/chelsea.png",), (SIDE, SIDE))


def network() -> nn.Module:
    module = torchvision.models.densenet121(weights=None)
    module.classifier = nn.Linear(module.classifier.in_features, CLASSES)
    return module.eval()


def prepared_picture() -> np.ndarray:
    """float32 (1, 3, H, W), by torchvision's transforms."""
    ts = torchvision.transforms
    steps = ts.Compose([ts.Resize((SIDE, SIDE)), ts.ToTensor(), ts.Normalize(MEAN, STD)])
    return steps(Image.open(SOURCE.paths[0]).convert("RGB"))[None].numpy()


def unit_range(cam: np.ndarray) -> np.ndarray:
    """Min-max of the signed map."""
    raised = cam - cam.min()
    return raised / raised.max()


def heats(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """The maps (classes, h, w) in [0, 1]."""
    with torch.inference_mode():
        features = F.relu(module.features(x))[0].numpy()
    rows = module.classifier.weight.detach().numpy()
    return np.stack([unit_range(np.tensordot(row, features, 1)) for row in rows])


def found() -> Found:
    module, x = network(), SOURCE.values()
    require("torchvision's input", distance(x, prepared_picture()), 1e-6)
    draws = prepared(NAME, module, SOURCE)
    output, activations = answer(module, x, [LAST])

    def maps(given: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
        return {"heat": heats(in_precision(module, dtype), tensor(given, dtype))}

    exact = maps(x, "float64")
    original = np.asarray(Image.open(SOURCE.paths[0]).convert("RGB"))
    drawn = {
        f"overlay_{index}": with_heat(original, heat, 0.3, 0.5)
        for index, heat in enumerate(exact["heat"])
    }
    return Found(
        name=NAME,
        source=SOURCE,
        model=exported(module, SOURCE),
        draws=draws,
        classes=list(range(CLASSES)),
        output=output.astype(np.float32),
        activations={path: np.maximum(values, 0) for path, values in activations.items()},
        arrays=exact,
        precision="float64",
        drift=drift(maps, x, exact),
        environment={"torch": torch.__version__, "torchvision": torchvision.__version__},
        pictures=drawn,
    )


if __name__ == "__main__":
    print(keep(found()))
