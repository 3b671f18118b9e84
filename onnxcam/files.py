"""What is written to disk: overlays, heatmaps, raw maps."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.explanation import Explanation
from onnxcam.images import write_bytes
from onnxcam.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, require_style

KINDS = ("overlay", "heatmap", "raw")
"""The picture (.png), the heatmap in [0, 1] (.npy) and the raw map (.raw.npy)."""


class Saver:
    """Writes explanations into one folder, never two of a run under one name."""

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[str],
        style: str = "blend",
        colormap: str = DEFAULT_COLORMAP,
        alpha: float = DEFAULT_ALPHA,
    ) -> None:
        require_style(style, colormap, alpha)  # before the work, not after it
        for kind in kinds:
            if kind not in KINDS:
                raise OnnxCamError(f"cannot save '{kind}'{nearest(kind, KINDS)}")
        self._folder = folder
        self._kinds = kinds
        self._style: dict[str, Any] = {"style": style, "colormap": colormap, "alpha": alpha}
        self._taken: dict[str, str] = {}

    def save(self, explanation: Explanation) -> dict[str, Any]:
        """Write one explanation; returns its entry of `explain --json`."""
        stem = self._stem(explanation)
        paths: dict[str, str | None] = dict.fromkeys(KINDS)
        for kind in self._kinds:
            path = self._folder / f"{stem}{_SUFFIX[kind]}"
            if kind == "overlay":
                explanation.save(path, **self._style)
            else:
                write_bytes(path, _npy(getattr(explanation, kind)))
            paths[kind] = str(path)
        target = explanation.target
        return {
            "image": explanation.image,
            "method": explanation.method,
            "layer": explanation.layer,
            "target": {
                "index": target.index,
                "label": target.label,
                "score": _finite(target.score),
                "probability": _finite(target.probability),
                **({"box": list(target.box)} if target.box else {}),
            },
            "provider": explanation.provider,
            **paths,
            "warnings": explanation.warnings,
        }

    def _stem(self, explanation: Explanation) -> str:
        """`cat.285.gradcam`; of two pictures called cat the second becomes `cat-2`, of two targets
        called 285 (a class's logit and its probability, say) `cat.285_2`."""
        image, target = explanation.image or "picture", explanation.target
        name = self._free(Path(image).stem, "-", image)
        what = _plain(target.key) or str(target.index)
        what = self._free(f"{name}.{what}", "_", f"{image} {len(self._taken)}")
        return f"{what}.{explanation.method}"

    def _free(self, name: str, mark: str, of: str) -> str:
        """A name that nothing else has in this run: the name itself, or with a number behind."""
        free, number = name, 1
        while self._taken.setdefault(free, of) != of:
            number += 1
            free = f"{name}{mark}{number}"
        return free


_SUFFIX = {"overlay": ".png", "heatmap": ".npy", "raw": ".raw.npy"}


def _plain(key: str) -> str:
    """What fits into a file's name anywhere."""
    return re.sub(r"[^\w.+,-]+", "-", key).strip("-.")


def _finite(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
