"""Segmentation of volumes (Çiçek et al. 2016, 3D U-Net).

Normalised over each volume and with leaky ReLUs (Isensee et al. 2021, nnU-Net), as both are what
medical networks are trained with.
"""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (8, 16, 32)


class Twice(nn.Sequential):
    """Convolution, normalisation and leaky ReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, 3, padding=1),
            nn.InstanceNorm3d(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv3d(outputs, outputs, 3, padding=1),
            nn.InstanceNorm3d(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        )


class VolumeUNet(nn.Module):
    """Logits of every voxel."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.down = nn.ModuleList([Twice(1, first), Twice(first, second), Twice(second, third)])
        self.pool = nn.MaxPool3d(2)
        self.enlarge = nn.ModuleList(
            [nn.ConvTranspose3d(third, second, 2, 2), nn.ConvTranspose3d(second, first, 2, 2)]
        )
        self.up = nn.ModuleList([Twice(2 * second, second), Twice(2 * first, first)])
        self.classify = nn.Conv3d(first, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down[0](x)
        second = self.down[1](self.pool(first))
        x = self.down[2](self.pool(second))
        for enlarge, stage, remembered in zip(self.enlarge, self.up, (second, first), strict=True):
            x = stage(torch.cat([remembered, enlarge(x)], 1))
        return self.classify(x)
