"""Res2Net (Gao et al. 2019, arXiv:1904.01169), in the D variant of ResNet (He et al. 2018,
arXiv:1812.01187): a stem of three convolutions, and shortcuts that average before they project.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from .convolution import normalised

EXPANSION = 4


class Res2NetVd(nn.Layer):
    """Res2Net50_vd_26w_4s with the default numbers: 26 channels a group, 4 groups."""

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 26,
        scale: int = 4,
        classes: int = 20,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            normalised(3, 32, 3, stride=2),
            nn.ReLU(),
            normalised(32, 32, 3),
            nn.ReLU(),
            normalised(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2D(3, 2, padding=1),
        )
        blocks: list[nn.Layer] = []
        channels = 64
        for stage, depth in enumerate(depths):
            answer = 64 * 2**stage * EXPANSION
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(channels, answer, width * 2**stage, scale, stride, index == 0))
                channels = answer
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(channels, classes)
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.head(self.blocks(self.stem(x)))


class Block(nn.Layer):
    """A bottleneck whose middle is a hierarchy: each group is convolved with what the one before
    it made; the last group is passed on. The first block of a stage keeps its groups apart.
    """

    def __init__(
        self, channels: int, answer: int, width: int, scale: int, stride: int, first: bool
    ) -> None:
        super().__init__()
        self.scale = scale
        self.first = first
        self.reduce = normalised(channels, width * scale)
        self.groups = nn.LayerList([normalised(width, width, 3, stride) for _ in range(scale - 1)])
        self.last = nn.AvgPool2D(3, stride, padding=1) if first else nn.Identity()
        self.expand = normalised(width * scale, answer)
        average = nn.AvgPool2D(2, 2, ceil_mode=True) if stride > 1 else nn.Identity()
        self.shortcut = (
            nn.Sequential(average, normalised(channels, answer)) if first else nn.Identity()
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        *parts, last = paddle.split(F.relu(self.reduce(x)), self.scale, axis=1)
        made: list[paddle.Tensor] = []
        for index, part in enumerate(parts):
            hierarchical = index > 0 and not self.first
            made.append(F.relu(self.groups[index](part + made[-1] if hierarchical else part)))
        joined = paddle.concat([*made, self.last(last)], axis=1)
        return F.relu(self.expand(joined) + self.shortcut(x))
