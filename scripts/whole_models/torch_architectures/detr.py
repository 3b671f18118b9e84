"""A detector that answers a fixed set of learned queries (Carion et al. 2020, DETR)."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """Two convolutions beside the identity, or beside a strided projection (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.beside = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.beside(x))


class Backbone(nn.Sequential):
    """A small residual network of stride 16."""

    def __init__(self, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            Residual(16, 32, 2),
            Residual(32, 64, 2),
            nn.Conv2d(64, outputs, 1),
        )


class FeedForward(nn.Module):
    """Two linear layers beside the identity, normalised afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.body(x))


class Attention(nn.Module):
    """Attention beside the identity; positions are added to queries and keys, not to values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: torch.Tensor, at: torch.Tensor, memory: torch.Tensor, memory_at: torch.Tensor
    ) -> torch.Tensor:
        answer, _ = self.attend(x + at, memory + memory_at, memory, need_weights=False)
        return self.norm(x + answer)


class EncoderLayer(nn.Module):
    """The picture attends to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.itself = Attention(width, heads)
        self.feed = FeedForward(width)

    def forward(self, x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return self.feed(self.itself(x, at, x, at))


class DecoderLayer(nn.Module):
    """The queries attend to one another, then to the picture."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.itself = Attention(width, heads)
        self.picture = Attention(width, heads)
        self.feed = FeedForward(width)

    def forward(
        self, x: torch.Tensor, at: torch.Tensor, memory: torch.Tensor, memory_at: torch.Tensor
    ) -> torch.Tensor:
        return self.feed(self.picture(self.itself(x, at, x, at), at, memory, memory_at))


class TransformerDetector(nn.Module):
    """Logits of the classes and of "nothing", and a box: (batch, queries, classes + 5)."""

    def __init__(
        self, classes: int = 10, queries: int = 20, width: int = 64, heads: int = 4, depth: int = 2
    ) -> None:
        super().__init__()
        self.backbone = Backbone(width)
        self.encoder = nn.ModuleList(EncoderLayer(width, heads) for _ in range(depth))
        self.decoder = nn.ModuleList(DecoderLayer(width, heads) for _ in range(depth))
        self.queries = nn.Parameter(torch.randn(1, queries, width))
        self.classes = nn.Linear(width, classes + 1)
        self.boxes = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.backbone(x)
        at = _sines(features)
        memory = features.flatten(2).transpose(1, 2)
        for encode in self.encoder:
            memory = encode(memory, at)
        asked = self.queries.expand(x.shape[0], -1, -1)
        found = torch.zeros_like(asked)
        for decode in self.decoder:
            found = decode(found, asked, memory, at)
        return torch.cat([self.classes(found), self.boxes(found).sigmoid()], -1)


def _sines(features: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of row and column, at falling frequencies: (1, n, channels)."""
    _, channels, height, width = features.shape
    like = {"dtype": features.dtype, "device": features.device}
    frequencies = 10000 ** -(torch.arange(channels // 4, **like) / (channels // 4))
    rows, columns = torch.meshgrid(
        2 * torch.pi * torch.arange(1, height + 1, **like) / height,
        2 * torch.pi * torch.arange(1, width + 1, **like) / width,
        indexing="ij",
    )
    angles = [position.reshape(-1, 1) * frequencies for position in (rows, columns)]
    return torch.cat([wave for a in angles for wave in (a.sin(), a.cos())], -1).unsqueeze(0)
