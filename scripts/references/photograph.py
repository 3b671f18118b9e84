"""A photograph as Keras loads it and its older networks want it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Mean of ImageNet in blue, green and red, as keras.applications subtracts it."""


@dataclass(frozen=True)
class CaffePhotograph:
    """A photograph (a path in the repository) as `load_img` gives it for `target_size`: stretched
    by nearest neighbours; then `preprocess_input` in its "caffe" mode."""

    photograph: str
    size: tuple[int, int]

    @property
    def path(self) -> Path:
        return Path(__file__).parents[2] / self.photograph

    def values(self) -> np.ndarray:
        """float32 (1, H, W, 3), blue first."""
        height, width = self.size
        with Image.open(self.path) as image:
            pixels = np.asarray(
                image.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
            )
        blue_first = pixels[..., ::-1].astype(np.float32)
        return (blue_first - np.array(CAFFE_MEAN, np.float32))[None]
