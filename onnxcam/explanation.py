"""One explanation: what was asked, the numbers, and the picture of them."""

from __future__ import annotations

import io
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from onnxcam.errors import OnnxCamError, nearest
from onnxcam.finish import Finish
from onnxcam.frame import Frame
from onnxcam.images import Picture, png, write_bytes, write_image
from onnxcam.overlay import Look, View, grid, render
from onnxcam.overlay.outline import outlined
from onnxcam.overlay.style import SHEETS
from onnxcam.sources import Source
from onnxcam.volumes import Volume, write_volume

NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Target:
    """What was explained: its number, its name if it has one, its score and probability.

    Of a class `score` is the logit; `probability` is NaN where there is none. `key` is what it is
    called in the names of files, a class's number say. `box`, of a detection, is where it lies:
    x1, y1, x2, y2 in the picture's pixels.
    """

    index: int
    label: str | None
    score: float
    probability: float
    key: str = ""
    box: tuple[float, ...] | None = None

    def __str__(self) -> str:
        number = f"{self.index} " if self.is_class else ""
        name = f"{number}{self.label}" if self.label else f"class {self.index}"
        if np.isnan(self.probability):
            return f"{name} ({self.score:.4g})"
        return f"{name} ({self.probability:.1%})"

    @property
    def is_class(self) -> bool:
        """Whether it is a class, and so has a number that says something."""
        return self.key in ("", str(self.index))


@dataclass(frozen=True)
class Explanation:
    """Why a model gave a picture, a volume or a signal a class.

    `raw` is float32 (h, w), (d, h, w) or (l) at the target layer's resolution, the method's
    published formula, not normalised. `source` is what was explained: a picture, uint8 RGB
    (H, W, 3), a `Volume` or a `Signal`; `frame` says where it lies in the model's input. `image`
    is the path it came from, or None. `warnings` say what to know before trusting it. `outliers`
    is the share of places whose heat is cut off at that of the hottest other one. `finish` makes
    the heatmap of the raw map, `look` and `view` the picture of that.
    """

    raw: np.ndarray = field(repr=False)
    target: Target
    method: str
    layer: str
    provider: str
    frame: Frame
    source: Source = field(repr=False)
    image: str | None = None
    warnings: list[str] = field(default_factory=list)
    outliers: float = 0.0
    finish: Finish = field(default_factory=Finish)
    look: Look = field(default_factory=Look)
    view: View = field(default_factory=View)

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 in [0, 1] at the size of the model's input; all 0 for an empty map.

        See `Finish`: the raw map's positive part, minus its minimum, divided by its maximum (that
        of what is left without `outliers`), and enlarged linearly, unless that says otherwise.
        """
        return self.finish.heatmap(self.raw, self.frame, self.outliers)

    @cached_property
    def heat(self) -> np.ndarray:
        """The heatmap on what was explained, in its size; 0 where the model did not see it."""
        return self.finish.on_source(self.raw, self.frame, self.outliers)

    def overlay(self, **changes: Any) -> Picture:
        """The heat on what was explained: uint8 RGB (H, W, 3), of a picture in its own size.

        A detected box is outlined.

        `changes` are fields of `Look` (style, colormap, alpha, ...) and of `View` (axis, index,
        rotate, layout, ...) that shall be different here. Raises `OnnxCamError`.
        """
        look, view = changed((self.look, self.view), changes)
        drawn = render(self.source, self.heat, look, view)
        if self.target.box is None or look.style in SHEETS:
            return drawn
        return outlined(drawn, self.target.box, look.enlarge)

    def save(self, path: str | os.PathLike[str], **changes: Any) -> Path:
        """Write what the path's ending names; returns the path.

        A picture's ending (.png, .jpg, ...) gets `overlay(**changes)`, .npy the heat in the
        source's size. So do .nii and .nii.gz of a volume, with its affine. Raises `OnnxCamError`.
        """
        path = Path(path)
        if path.suffix.lower() == ".npy":
            write_bytes(path, npy(self.heat))
        elif path.name.lower().endswith(NIFTI):
            write_volume(path, self.heat, self.affine)
        else:
            write_image(path, self.overlay(**changes))
        return path

    @property
    def affine(self) -> np.ndarray | None:
        """Voxels to millimetres, float64 (4, 4), of a volume that has it."""
        return self.source.affine if isinstance(self.source, Volume) else None

    @property
    def input_size(self) -> tuple[int, ...]:
        """The spatial size of the model's input, and of the heatmap."""
        return self.frame.input

    @property
    def caption(self) -> str:
        """What was explained, and by which method, in a line."""
        return f"{self.target} · {self.method}"

    def _repr_png_(self) -> bytes:
        return png(self.overlay())

    def _repr_html_(self) -> str:
        import html  # only notebooks need its long table of entities

        rows = [
            ("target", str(self.target)),
            ("method", self.method),
            ("layer", self.layer),
            ("image", self.image or ""),
            *(("warning", warning) for warning in self.warnings),
        ]
        table = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in rows
            if text
        )
        caption = f"<figcaption><table>{table}</table></figcaption>"
        return f"<figure>{_embedded(self.overlay())}{caption}</figure>"


class Explanations(list[Explanation]):
    """Explanations in a row; they show themselves side by side in a notebook."""

    def grid(self, columns: int | None = None, **changes: Any) -> Picture:
        """All of them side by side with their captions: uint8 RGB (H, W, 3).

        `changes` as for `Explanation.overlay`. Raises `OnnxCamError` when there are none.
        """
        return side_by_side(self, columns, **changes)

    def _repr_html_(self) -> str:
        return _embedded(self.grid()) if self else "<em>no explanations</em>"


def side_by_side(
    explanations: Sequence[Explanation], columns: int | None = None, **changes: Any
) -> Picture:
    """Explanations of several targets, by several methods or of several models, in one picture.

    Captions say what differs: the target with its probability, the method, the file. `changes` as
    for `Explanation.overlay`. Raises `OnnxCamError` when there are none.
    """
    if not explanations:
        raise OnnxCamError("no explanations to put side by side")
    cells = [one.overlay(**changes) for one in explanations]
    names = [Path(one.image).name if one.image else "" for one in explanations]
    several = len(set(names)) > 1
    captions = [
        f"{one.caption} · {name}" if several else one.caption
        for one, name in zip(explanations, names, strict=True)
    ]
    return grid(cells, captions, columns)


def changed(looks: tuple[Look, View], changes: dict[str, Any]) -> tuple[Look, View]:
    """A look and a view with some fields replaced, each by the name of the field.

    Raises `OnnxCamError` for a field that neither has.
    """
    known = [{one.name for one in fields(each)} for each in looks]
    for name in changes:
        if not any(name in names for names in known):
            raise OnnxCamError(
                f"no option '{name}' of pictures{nearest(name, set().union(*known))}"
            )
    look, view = (
        {name: value for name, value in changes.items() if name in names} for names in known
    )
    return replace(looks[0], **look), replace(looks[1], **view)


def npy(values: np.ndarray) -> bytes:
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _embedded(picture: Picture) -> str:
    return f"<img src='data:image/png;base64,{b64encode(png(picture)).decode()}'>"
