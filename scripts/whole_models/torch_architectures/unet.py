"""Segmentation by an encoder whose features the decoder sees again (Ronneberger et al. 2015).

The sides of the picture need not be divisible: one network pads what it has enlarged, the other
crops what it remembers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (16, 32, 64, 128)


class Twice(nn.Sequential):
    """Convolution, normalisation and ReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Logits of every pixel; how the decoder enlarges and fits is the subclasses' choice."""

    def __init__(self, enlarge: Callable[[int, int], nn.Module], classes: int = 4) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            Twice(inputs, outputs) for inputs, outputs in zip((3, *WIDTHS), WIDTHS, strict=False)
        )
        steps = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(enlarge(inputs, outputs) for inputs, outputs in steps)
        self.up = nn.ModuleList(Twice(2 * outputs, outputs) for _, outputs in steps)
        self.classify = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.down[0](x)]
        for stage in self.down[1:]:
            levels.append(stage(functional.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for enlarge, stage in zip(self.enlarge, self.up, strict=True):
            x = stage(torch.cat(self.fitted(levels.pop(), enlarge(x)), 1))
        return self.classify(x)

    def fitted(
        self, remembered: torch.Tensor, enlarged: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both of one size."""
        raise NotImplementedError


class PaddedUNet(UNet):
    """Enlarges by transposed convolution, and pads the result to the size remembered."""

    def __init__(self) -> None:
        super().__init__(lambda inputs, outputs: nn.ConvTranspose2d(inputs, outputs, 2, 2))

    def fitted(
        self, remembered: torch.Tensor, enlarged: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = remembered.shape[2] - enlarged.shape[2]
        columns = remembered.shape[3] - enlarged.shape[3]
        around = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        return remembered, functional.pad(enlarged, around)


class CroppedUNet(UNet):
    """Enlarges by bilinear interpolation, and crops what is remembered to the result's size."""

    def __init__(self) -> None:
        super().__init__(
            lambda inputs, outputs: nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Conv2d(inputs, outputs, 1),
            )
        )

    def fitted(
        self, remembered: torch.Tensor, enlarged: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = enlarged.shape[2:]
        top = (remembered.shape[2] - height) // 2
        left = (remembered.shape[3] - width) // 2
        return remembered[:, :, top : top + height, left : left + width], enlarged
