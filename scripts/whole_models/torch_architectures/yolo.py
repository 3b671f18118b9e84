"""A detector without anchor boxes, in the shape of YOLOv8.

Cross-stage partial blocks (Wang et al. 2020), pooling of a spatial pyramid (He et al. 2014), a path
aggregation neck (Liu et al. 2018), a decoupled head (Ge et al. 2021, YOLOX) and box sides as
distributions (Li et al. 2020, generalised focal loss).
"""

from __future__ import annotations

import torch
from torch import nn

BINS = 16


class Unit(nn.Sequential):
    """Convolution, normalisation, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
            nn.SiLU(inplace=True),
        )


class Bottleneck(nn.Module):
    """Two convolutions, beside the identity in the backbone."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(Unit(channels, channels, 3), Unit(channels, channels, 3))
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        return x + y if self.shortcut else y


class PartialStage(nn.Module):
    """Half of the channels pass a chain of bottlenecks; every link of it is concatenated."""

    def __init__(self, inputs: int, outputs: int, depth: int, shortcut: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.enter = Unit(inputs, outputs)
        self.chain = nn.ModuleList(Bottleneck(half, shortcut) for _ in range(depth))
        self.leave = Unit((2 + depth) * half, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        links = list(self.enter(x).chunk(2, 1))
        for bottleneck in self.chain:
            links.append(bottleneck(links[-1]))
        return self.leave(torch.cat(links, 1))


class PyramidPooling(nn.Module):
    """Maxima over 5, 9 and 13 pixels, as one pooling thrice over."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = Unit(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.leave = Unit(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.enter(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.leave(torch.cat(levels, 1))


class Backbone(nn.Module):
    """Features at strides 8, 16 and 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.fine = nn.Sequential(
            Unit(3, w, 3, 2),
            Unit(w, 2 * w, 3, 2),
            PartialStage(2 * w, 2 * w, 1, True),
            Unit(2 * w, 4 * w, 3, 2),
            PartialStage(4 * w, 4 * w, 2, True),
        )
        self.middle = nn.Sequential(Unit(4 * w, 8 * w, 3, 2), PartialStage(8 * w, 8 * w, 2, True))
        self.coarse = nn.Sequential(
            Unit(8 * w, 16 * w, 3, 2), PartialStage(16 * w, 16 * w, 1, True), PyramidPooling(16 * w)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        fine = self.fine(x)
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class Neck(nn.Module):
    """Down the pyramid by nearest neighbours, and up again by strided convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.to_middle = PartialStage(24 * w, 8 * w, 1, False)
        self.to_fine = PartialStage(12 * w, 4 * w, 1, False)
        self.shrink_fine = Unit(4 * w, 4 * w, 3, 2)
        self.from_fine = PartialStage(12 * w, 8 * w, 1, False)
        self.shrink_middle = Unit(8 * w, 8 * w, 3, 2)
        self.from_middle = PartialStage(24 * w, 16 * w, 1, False)

    def forward(
        self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        middle = self.to_middle(torch.cat([self.enlarge(coarse), middle], 1))
        fine = self.to_fine(torch.cat([self.enlarge(middle), fine], 1))
        middle = self.from_fine(torch.cat([self.shrink_fine(fine), middle], 1))
        coarse = self.from_middle(torch.cat([self.shrink_middle(middle), coarse], 1))
        return fine, middle, coarse


class Branch(nn.Sequential):
    """Of the head: what is said of each cell of one level."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__(
            Unit(inputs, width, 3), Unit(width, width, 3), nn.Conv2d(width, outputs, 1)
        )


class ExpectedSide(nn.Module):
    """The mean of a distribution over whole distances, as a convolution with 0, 1, 2, ..."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Conv2d(BINS, 1, 1, bias=False).requires_grad_(False)
        self.mean.weight.copy_(torch.arange(float(BINS)).reshape(1, BINS, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, cells = x.shape
        bins = x.reshape(batch, 4, BINS, cells).transpose(1, 2)
        return self.mean(bins.softmax(1)).reshape(batch, 4, cells)


class GridDetector(nn.Module):
    """Box (centre and size, in pixels) and class scores of every cell: (batch, 4 + classes, n)."""

    def __init__(self, classes: int = 10, width: int = 8) -> None:
        super().__init__()
        levels = (4 * width, 8 * width, 16 * width)
        self.backbone = Backbone(width)
        self.neck = Neck(width)
        self.sides = nn.ModuleList(Branch(n, 4 * width, 4 * BINS) for n in levels)
        self.scores = nn.ModuleList(Branch(n, 4 * width, classes) for n in levels)
        self.expected = ExpectedSide()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = self.neck(*self.backbone(x))
        sides = [side(level).flatten(2) for side, level in zip(self.sides, levels, strict=True)]
        scores = [score(level).flatten(2) for score, level in zip(self.scores, levels, strict=True)]
        centres, strides = _cells([level.shape[2:] for level in levels], x)
        before, after = self.expected(torch.cat(sides, 2)).chunk(2, 1)
        start, end = centres - before, centres + after
        boxes = torch.cat([(start + end) / 2, end - start], 1) * strides
        return torch.cat([boxes, torch.cat(scores, 2).sigmoid()], 1)


def _cells(sizes: list[torch.Size], like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The centre of every cell, in cells of its own level (2, n), and its stride (1, n)."""
    centres, strides = [], []
    for stride, (height, width) in zip((8, 16, 32), sizes, strict=True):
        rows = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5
        columns = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack([x, y]).flatten(1))
        strides.append(torch.full_like(x, stride).reshape(1, -1))
    return torch.cat(centres, 1), torch.cat(strides, 1)
