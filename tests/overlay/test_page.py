"""The page of styles is what the styles are."""

from __future__ import annotations

import re

import style_gallery

from onnxcam.overlay import STYLES


def test_the_page_of_styles_is_the_table() -> None:
    text = style_gallery.PAGE.read_text(encoding="utf-8")
    assert style_gallery.page() == text, "run python scripts/style_gallery.py"
    assert all(f"| [`{name}`](#{name}) |" in text for name in STYLES)


def test_every_picture_of_the_page_is_there() -> None:
    text = style_gallery.PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"\]\((images/[^)]+)\)", text)
    assert len(shown) > len(STYLES)
    assert all((style_gallery.PAGE.parent / name).is_file() for name in shown)
