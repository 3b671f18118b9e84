"""The one network and the one training plan that `train_torch.py`, `train_keras.py` and
`train_paddle.py` share, written down once and without any framework.

The network is a stack of 3x3 Conv - BatchNorm - ReLU blocks down to a 12x12 map, then average
pooling and one dense layer. With such a head Grad-CAM is the class's own evidence map, so a correct
heatmap can be computed independently.

Two losses are added up: the usual cross-entropy, and a mask loss that asks for the true class's
evidence to peak on the object, -log(sum of softmax over cells(evidence) x share of the cell that is
object). Without it the network classifies as well, but likes to collect its evidence at the rim, a
few pixels outside the shape. With it, where a correct heatmap must peak is known, which is what
makes these models a measuring instrument: a heatmap off the object is a fault of the heatmap.
"""

import math
from collections.abc import Iterator

import numpy as np
import shapes

BLOCKS: tuple[tuple[int, int, int], ...] = (
    (24, 2, 2),
    (32, 1, 1),
    (48, 1, 2),
    (64, 1, 1),
    (64, 1, 1),
)
"""(channels, stride of the convolution, size of the max pooling that follows) of each block.

96x96 pixels become 12x12 cells that each see 57 pixels. Only the first convolution is strided: a
strided 3x3 convolution moves the map against the picture by half a pixel of its input, to a side
that depends on the framework's padding, and three in a row shift a heatmap by 3.5 pixels."""

PICTURES = 16_000
EPOCHS = 6
BATCH = 64
STEPS = PICTURES // BATCH * EPOCHS
PEAK_RATE = 3e-3
SEED = 7

MASK_WEIGHT = 0.5
"""Weight of the mask loss against the cross-entropy."""

PREPROCESS: dict[str, object] = {
    "color": "rgb",
    "scale": 1 / 255,
    "mean": 0.0,
    "std": 1.0,
    "resize": "stretch",
}
LABELS = list(shapes.CLASSES)


def rate(step: int) -> float:
    """Learning rate of a step: a short warm-up, then half a cosine down to zero."""
    warm = STEPS // 20
    if step < warm:
        return PEAK_RATE * (step + 1) / warm
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm)))


def batches() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield STEPS batches: images (BATCH, 96, 96, 3) float32 in 0..1, labels (BATCH,) int64 and, in
    (BATCH, 12, 12) float32, how much of the middle of each cell of the last map is on the object.

    Each picture comes flipped and turned at random: that changes no class and is cheaper than
    drawing more pictures.
    """
    images, labels, masks = shapes.draw_many(range(PICTURES))
    middles = masks.reshape(-1, 12, 8, 12, 8)[:, :, 2:6, :, 2:6].mean((2, 4))
    rng = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        order = rng.permutation(PICTURES)
        for start in range(0, PICTURES, BATCH):
            chosen = order[start : start + BATCH]
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            pixels = _turned(images[chosen], turns, mirrored) / 255
            yield pixels, labels[chosen], _turned(middles[chosen], turns, mirrored)


def _turned(batch: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    """The batch as float32, turned by quarter turns and then perhaps mirrored."""
    batch = np.rot90(batch, turns, axes=(1, 2))
    return np.ascontiguousarray(batch[:, :, ::-1] if mirrored else batch, np.float32)
