"""Element-wise Grad-CAM of Paddle's Res2Net50_vd_26w_4s with four classes, as it is written down.

The recipe in its own framework: the gradient of the class's logit with respect to the last feature
map (2048 x 7 x 7), not pooled, times the activations element by element; averaged over channels,
cut off at 0 and divided by its maximum. That is shown as it is, and enlarged to the original
picture: JET * 0.4 + picture.

Behind that layer there is an average and a linear layer, so that its gradient is the same at every
place and pooling it would change nothing. The map of the stage before, where it would, is recorded
as well.

Environment: pip install paddlepaddle paddle2onnx onnx onnxruntime opencv-python-headless pillow
Run from scripts/: python -m write_ups.paddle_res2net
"""

import numpy as np
import paddle
from paddle.vision import transforms
from PIL import Image
from references.derivation import distance
from references.imagenet import MEAN, STD, ImageNetPhotographs
from references.paddle_source import PaddleSource, calibrate, fill
from references.record import export, require
from whole_models.paddle_architectures.res2net import Res2NetVd

from write_ups.adding import with_heat
from write_ups.keep import Found, keep
from write_ups.rounding import drift

NAME, SIDE, CLASSES, OPSET = "paddle_res2net", 224, 4, 11
LAST, BEFORE = "blocks", "blocks.12"
SOURCE = ImageNetPhotographs(("models/images/chelsea.png",), (SIDE, SIDE))


def prepared_picture() -> np.ndarray:
    """float32 (1, 3, H, W), by Paddle's transforms."""
    stretch, unit = transforms.Resize((SIDE, SIDE)), transforms.ToTensor()
    steps = transforms.Compose([stretch, unit, transforms.Normalize(MEAN, STD)])
    return steps(Image.open(SOURCE.paths[0]).convert("RGB")).numpy()[None]


def heat_of(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The recipe's map (h, w), its maximum 1."""
    heat = np.maximum((activations[0] * gradients[0]).mean(axis=0), 0)
    return heat / heat.max()


def found() -> Found:
    network, x = Res2NetVd(classes=CLASSES), SOURCE.values()
    require("Paddle's input", distance(x, prepared_picture()), 1e-6)
    draws = fill(f"write_ups/{NAME}", network)
    calibrate(network, paddle.to_tensor(x))
    source = PaddleSource(network, [BEFORE, LAST], SOURCE, OPSET, draws)
    output = source.output(x)
    best = int(output[0].argmax())

    def maps(given: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
        backward = source.backward(given, [best], dtype)
        return {
            f"heat {path}": heat_of(backward.activations[path], backward.gradients[path])
            for path in (BEFORE, LAST)
        }

    exact = maps(x, "float64")
    original = np.asarray(Image.open(SOURCE.paths[0]).convert("RGB"))
    return Found(
        name=NAME,
        source=SOURCE,
        model=export(source),
        draws=draws,
        classes=[best],
        output=output,
        activations=source.backward(x, [best], "float64").activations,
        arrays=exact,
        precision="float64",
        drift=drift(maps, x, exact),
        environment={"paddle": paddle.__version__},
        pictures={"overlay": with_heat(original, exact[f"heat {LAST}"], 0.4, 1.0)},
    )


if __name__ == "__main__":
    print(keep(found()))
