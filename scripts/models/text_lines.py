"""Render four lines of text into models/images/: two upright, two upside down.

The names say the truth: text_0_*.png is upright, text_180_*.png turned by 180 degrees. Four times
as wide as high, like the input of models/text_direction.onnx. Font: DejaVu Sans, as shipped by
matplotlib (Bitstream Vera licence, free to use in pictures).

Environment: pip install numpy matplotlib pillow
Run from the repository root: python scripts/models/text_lines.py
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

IMAGES = Path(__file__).resolve().parents[2] / "models" / "images"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LINES = (
    ("text_0_invoice.png", "Invoice 2048", "DejaVuSans.ttf", "black", "white", 0),
    ("text_0_platform.png", "Platform 9", "DejaVuSans-Bold.ttf", "#ffe08a", "#14324f", 0),
    ("text_180_receipt.png", "Total: 37.50", "DejaVuSansMono.ttf", "#222222", "#f3ead7", 180),
    ("text_180_exit.png", "Way out here", "DejaVuSerif.ttf", "white", "#1b6e3c", 180),
)
WIDTH, HEIGHT = 384, 96


def render(text: str, font: str, ink: str, paper: str, turn: int) -> Image.Image:
    """A line of text that fills most of a WIDTH x HEIGHT picture."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), paper)
    pen = ImageDraw.Draw(picture)
    size = 72
    while pen.textlength(text, ImageFont.truetype(str(FONTS / font), size)) > WIDTH - 24:
        size -= 1
    face = ImageFont.truetype(str(FONTS / font), size)
    pen.text((WIDTH / 2, HEIGHT / 2), text, ink, face, anchor="mm")
    grain = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).rotate(turn)


def main() -> None:
    for name, text, font, ink, paper, turn in LINES:
        render(text, font, ink, paper, turn).save(IMAGES / name, optimize=True)
        print(f"models/images/{name}")


if __name__ == "__main__":
    main()
