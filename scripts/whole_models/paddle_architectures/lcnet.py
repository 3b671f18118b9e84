"""PP-LCNet (Cui et al. 2021, arXiv:2109.15099)."""

from __future__ import annotations

import paddle
from paddle import nn

from .convolution import normalised

BLOCKS = [
    (3, 1, 32, False),
    (3, 2, 64, False),
    (3, 1, 64, False),
    (3, 2, 128, False),
    (3, 1, 128, False),
    (3, 2, 256, False),
    *[(5, 1, 256, False)] * 5,
    (5, 2, 512, True),
    (5, 1, 512, True),
]
"""Kernel, stride, channels at scale 1, and whether there is a squeeze and excitation."""


class LCNet(nn.Layer):
    """Separable convolutions with hard swish; a wide 1x1 convolution after the average."""

    def __init__(self, scale: float = 1.0, wide: int = 1280, classes: int = 20) -> None:
        super().__init__()
        channels = int(16 * scale)
        parts = [normalised(3, channels, 3, stride=2), nn.Hardswish()]
        for kernel, stride, answer, excited in BLOCKS:
            parts += [
                normalised(channels, channels, kernel, stride, groups=channels),
                nn.Hardswish(),
            ]
            if excited:
                parts.append(Excitation(channels))
            parts += [normalised(channels, int(answer * scale)), nn.Hardswish()]
            channels = int(answer * scale)
        self.features = nn.Sequential(*parts)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2D(1),
            nn.Conv2D(channels, wide, 1, bias_attr=False),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(wide, classes),
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.head(self.features(x))


class Excitation(nn.Layer):
    """Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507) with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2D(1),
            nn.Conv2D(channels, channels // 4, 1),
            nn.ReLU(),
            nn.Conv2D(channels // 4, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x * self.gate(x)
