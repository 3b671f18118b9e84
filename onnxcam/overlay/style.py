"""The styles by name, and what each brings along; `styles.py` has what they do."""

from __future__ import annotations

from dataclasses import dataclass

from onnxcam.overlay.colormaps import DEFAULT_COLORMAP


@dataclass(frozen=True)
class Style:
    """What a style brings along where nothing else is asked for.

    `formula` is for people: C the colours, P the picture, h the heat, a alpha, b beta.
    """

    formula: str
    alpha: float = 1.0
    beta: float | None = 1.0
    """None is 1 - alpha."""
    threshold: float = 0.0
    colormap: str = DEFAULT_COLORMAP
    used_by: str = ""


STYLES: dict[str, Style] = {
    "blend": Style(
        "a C + b P, cut off at white",
        alpha=0.5,
        beta=None,
        used_by="the 0.5 / 0.5 of most tutorials; matplotlib's `imshow(heat, alpha=a)`; Captum",
    ),
    "add": Style(
        "(a C + b P) / max(a C + b P)",
        alpha=0.5,
        beta=None,
        used_by="pytorch-grad-cam's `show_cam_on_image`, with `image_weight` = 1 - a",
    ),
    "sum": Style(
        "a C + b P, cut off at white",
        alpha=0.4,
        beta=1.0,
        used_by="`heat * 0.4 + image` of many Keras scripts; with 0.3 and 0.5 that of CAM",
    ),
    "fusion": Style(
        "a C + b P where h >= 0.3 and C is not dark; black background white",
        alpha=0.4,
        beta=1.0,
        threshold=0.3,
        colormap="rainbow",
        used_by="medical pictures: the anatomy stays at full strength under the heat",
    ),
    "contour": Style(
        "lines where h is 0.25, 0.5 and 0.75, with opacity a",
        used_by="comparing with a drawn outline; nothing of the picture is tinted",
    ),
    "heatmap": Style("C", used_by="the heat on its own"),
    "fade": Style(
        "a h C + (1 - a h) P",
        alpha=0.8,
        used_by="transparent where cold: the rest of the picture keeps its colours",
    ),
    "heatmap-bar": Style("C with a colour bar", used_by="the raw heatmap of reports and papers"),
    "panel": Style(
        "P, C with a colour bar, blend with the heat at 0.7 and 0.3",
        used_by="four panels side by side for reports",
    ),
}
"""Every style, in the order in which they are offered."""

SHEETS = ("heatmap-bar", "panel")
"""Those that are not of the picture's own size."""
