"""SVTR (Du et al. 2022, arXiv:2205.00159), small: a line of text is read by attention alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from .convolution import normalised

WINDOW = (7, 11)
"""Height and width of the neighbourhood that local mixing sees."""

HEAD = 32


class SVTR(nn.Layer):
    """Patches of 4x4 pixels, stages of mixing blocks, the height halved between them; then one
    answer for each column of patches.
    """

    def __init__(
        self,
        size: tuple[int, int] = (32, 96),
        widths: Sequence[int] = (64, 128, 192),
        depths: Sequence[int] = (2, 2, 2),
        classes: int = 20,
    ) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            normalised(3, widths[0] // 2, 3, stride=2),
            nn.GELU(),
            normalised(widths[0] // 2, widths[0], 3, stride=2),
            nn.GELU(),
        )
        height, width = size[0] // 4, size[1] // 4
        self.position = self.create_parameter([1, height * width, widths[0]])
        stages: list[nn.Layer] = []
        for index, (channels, depth) in enumerate(zip(widths, depths, strict=True)):
            local = index == 0
            seen = neighbours(height, width) if local else None
            parts: list[nn.Layer] = [Mixing(channels, seen) for _ in range(depth)]
            if index + 1 < len(widths):
                parts.append(Merging(channels, widths[index + 1], (height, width)))
                height = (height + 1) // 2
            stages.append(nn.Sequential(*parts))
        self.stages = nn.Sequential(*stages)
        self.columns = (height, width)
        self.norm = nn.LayerNorm(widths[-1])
        self.combine = nn.Linear(widths[-1], widths[-1])
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        tokens = self.patches(x).flatten(2).transpose([0, 2, 1]) + self.position
        tokens = self.norm(self.stages(tokens))
        rows = tokens.reshape([0, *self.columns, tokens.shape[2]])
        return self.head(F.hardswish(self.combine(rows.mean(1))))


def neighbours(height: int, width: int) -> np.ndarray:
    """What is added to the attention from one patch to another: 0 nearby, -inf elsewhere."""
    rows, columns = (grid.reshape(-1) for grid in np.mgrid[:height, :width])
    near = (abs(rows[:, None] - rows) <= WINDOW[0] // 2) & (
        abs(columns[:, None] - columns) <= WINDOW[1] // 2
    )
    return np.where(near, 0.0, -np.inf).astype("float32")


class Mixing(nn.Layer):
    """Attention, all over or nearby, and a perceptron; both normalised first."""

    def __init__(self, channels: int, seen: np.ndarray | None) -> None:
        super().__init__()
        self.heads = channels // HEAD
        self.norm = nn.LayerNorm(channels, epsilon=1e-6)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.join = nn.Linear(channels, channels)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels, epsilon=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        mask = None if seen is None else paddle.to_tensor(seen)
        self.register_buffer("mask", mask)

    def forward(self, tokens: paddle.Tensor) -> paddle.Tensor:
        tokens = tokens + self.attend(self.norm(tokens))
        return tokens + self.perceptron(tokens)

    def attend(self, tokens: paddle.Tensor) -> paddle.Tensor:
        """Scaled dot products between the tokens of every head."""
        count, channels = tokens.shape[1:]
        qkv = self.qkv(tokens).reshape([0, count, 3, self.heads, HEAD])
        q, k, v = qkv.transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = paddle.matmul(q, k, transpose_y=True) * HEAD**-0.5
        if self.mask is not None:
            scores = scores + self.mask
        mixed = paddle.matmul(F.softmax(scores, axis=-1), v)
        return self.join(mixed.transpose([0, 2, 1, 3]).reshape([0, count, channels]))


class Merging(nn.Layer):
    """Halve the height, and widen, by a convolution."""

    def __init__(self, channels: int, answer: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2D(channels, answer, 3, (2, 1), padding=1)
        self.norm = nn.LayerNorm(answer)

    def forward(self, tokens: paddle.Tensor) -> paddle.Tensor:
        maps = tokens.transpose([0, 2, 1]).reshape([0, tokens.shape[2], *self.size])
        return self.norm(self.convolution(maps).flatten(2).transpose([0, 2, 1]))
