"""A detector with anchor boxes at several scales (Liu et al. 2016, SSD)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

RATIOS = (1.0, 2.0, 0.5)


class ChannelNorm(nn.Module):
    """Every pixel's channels scaled to a learned length (Liu et al. 2015, ParseNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), 20.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(x, dim=1) * self.scale.reshape(1, -1, 1, 1)


class BoxDetector(nn.Module):
    """Corners and class probabilities of every anchor box: (batch, n, 4 + classes)."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *_convolutions(3, 16, 16),
            nn.MaxPool2d(2),
            *_convolutions(16, 32, 32),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolutions(32, 64, 64),
        )
        self.norm = ChannelNorm(64)
        self.second = nn.Sequential(
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolutions(64, 96),
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(96, 128, 3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, 1),
            nn.ReLU(inplace=True),
        )
        self.third = nn.Sequential(
            nn.Conv2d(128, 32, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(inplace=True),
        )
        channels = (64, 128, 64)
        boxes = len(RATIOS)
        self.places = nn.ModuleList(nn.Conv2d(n, 4 * boxes, 3, padding=1) for n in channels)
        self.scores = nn.ModuleList(nn.Conv2d(n, classes * boxes, 3, padding=1) for n in channels)
        self.classes = classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(first)
        levels = [self.norm(first), second, self.third(second)]
        classes = self.classes
        places = [_rows(place(a), 4) for place, a in zip(self.places, levels, strict=True)]
        scores = [_rows(score(a), classes) for score, a in zip(self.scores, levels, strict=True)]
        corners = _decoded(torch.cat(places, 1), _anchors([a.shape[2:] for a in levels], x))
        return torch.cat([corners, torch.cat(scores, 1).softmax(-1)], -1)


def _convolutions(*channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return layers


def _rows(x: torch.Tensor, entries: int) -> torch.Tensor:
    """(batch, boxes * entries, height, width) as (batch, height * width * boxes, entries)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, entries)


def _anchors(sizes: list[torch.Size], like: torch.Tensor) -> torch.Tensor:
    """Centre and size of every anchor box, as shares of the picture: (n, 4)."""
    kind = {"dtype": like.dtype, "device": like.device}
    ratios = torch.tensor(RATIOS, **kind).sqrt()
    boxes = []
    for level, (height, width) in enumerate(sizes):
        y = (torch.arange(height, **kind) + 0.5) / height
        x = (torch.arange(width, **kind) + 0.5) / width
        centre = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
        size = 0.2 * (level + 1) * torch.stack([ratios, 1 / ratios], -1)
        shape = (height, width, len(RATIOS), 2)
        pair = [centre[:, :, None].expand(shape), size.expand(shape)]
        boxes.append(torch.cat(pair, -1).reshape(-1, 4))
    return torch.cat(boxes)


def _decoded(places: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Shifts of the centres and logarithms of the sizes, as corners."""
    centre = anchors[:, :2] + 0.1 * places[..., :2] * anchors[:, 2:]
    size = anchors[:, 2:] * torch.exp(0.2 * places[..., 2:])
    return torch.cat([centre - size / 2, centre + size / 2], -1)
