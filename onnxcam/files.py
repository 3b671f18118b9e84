"""What is written to disk: overlays, heatmaps, raw maps."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.explanation import Explanation, npy, side_by_side
from onnxcam.images import write_bytes, write_image

KINDS = ("overlay", "heatmap", "raw")
"""The picture (one of `FORMATS`), the heatmap in [0, 1] (.npy; of a volume with an affine .nii.gz)
and the raw map (.raw.npy)."""

FORMATS = ("png", "jpg", "webp")
"""What pictures are written as: the first as it is, the others at quality 90 of 100."""

GRID = "grid"


class Saver:
    """Writes explanations into one folder, never two of a run under one name.

    `kinds` are some of `KINDS`, `picture` is one of `FORMATS`. Raises `OnnxCamError` for others.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], picture: str = FORMATS[0]) -> None:
        for kind in kinds:
            if kind not in KINDS:
                raise OnnxCamError(f"cannot save '{kind}'{nearest(kind, KINDS)}")
        if picture not in FORMATS:
            raise OnnxCamError(f"no format '{picture}' of overlays; there are {', '.join(FORMATS)}")
        self._folder = folder
        self._kinds = kinds
        self._picture = picture
        self._taken: dict[str, str] = {}

    def save(self, explanation: Explanation) -> dict[str, Any]:
        """Write one explanation; returns its entry of `explain --json`."""
        return self.named(explanation)()

    def save_grid(self, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
        """The same of several of one image, with one overlay: all of them side by side."""
        return self.named_grid(explanations)()

    def named(self, explanation: Explanation) -> Callable[[], dict[str, Any]]:
        """What `save` does with the names that are free now, to be done on any thread."""
        return partial(self._saved, explanation, self._stem(explanation))

    def named_grid(self, explanations: Sequence[Explanation]) -> Callable[[], list[dict[str, Any]]]:
        """The same of `save_grid`."""
        image = explanations[0].image or "picture"
        path = self._folder / f"{self._free(_stem_of(image), '-', image)}.{GRID}.{self._picture}"
        stems = [self._stem(one) for one in explanations]
        return partial(self._saved_grid, explanations, path, stems)

    def _saved(self, explanation: Explanation, stem: str) -> dict[str, Any]:
        return self._entry(explanation, [self._write(explanation, stem, k) for k in self._kinds])

    def _saved_grid(
        self, explanations: Sequence[Explanation], path: Path, stems: Sequence[str]
    ) -> list[dict[str, Any]]:
        if "overlay" in self._kinds:
            write_image(path, side_by_side(explanations))
        entries = []
        for one, stem in zip(explanations, stems, strict=True):
            rest = [self._write(one, stem, kind) for kind in self._kinds if kind != "overlay"]
            overlay = [("overlay", str(path))] if "overlay" in self._kinds else []
            entries.append(self._entry(one, overlay + rest))
        return entries

    def _write(self, explanation: Explanation, stem: str, kind: str) -> tuple[str, str]:
        """The kind, and where it is now."""
        if kind == "overlay":
            return kind, str(explanation.save(self._folder / f"{stem}.{self._picture}"))
        if kind == "heatmap" and explanation.affine is not None:
            return kind, str(explanation.save(self._folder / f"{stem}.nii.gz"))
        path = self._folder / f"{stem}{'.raw' if kind == 'raw' else ''}.npy"
        write_bytes(path, npy(getattr(explanation, kind)))
        return kind, str(path)

    @staticmethod
    def _entry(explanation: Explanation, written: Sequence[tuple[str, str]]) -> dict[str, Any]:
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
            **dict.fromkeys(KINDS),
            **dict(written),
            "warnings": explanation.warnings,
        }

    def _stem(self, explanation: Explanation) -> str:
        """`cat.285.gradcam`; of two pictures called cat the second becomes `cat-2`, of two targets
        called 285 (a class's logit and its probability, say) `cat.285_2`."""
        image, target = explanation.image or "picture", explanation.target
        name = self._free(_stem_of(image), "-", image)
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


def _stem_of(path: str) -> str:
    """A file's name without its ending, `.nii.gz` being one."""
    name = Path(path).name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else Path(path).stem


def _plain(key: str) -> str:
    """What fits into a file's name anywhere."""
    return re.sub(r"[^\w.+,-]+", "-", key).strip("-.")


def _finite(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None
