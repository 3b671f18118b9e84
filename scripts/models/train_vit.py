"""Train a small vision transformer on the shapes in PyTorch and write models/shapes_vit.onnx.

A few convolutions make a token of every 8x8 pixels, a class token goes in front, and four blocks of
attention follow; the class token's last state gives the logits. It is here for the methods that
read attention, which no network of convolutions has.

Environment: pip install torch onnx onnxscript numpy opencv-python-headless
Run from the repository root: python scripts/models/train_vit.py
"""

from itertools import pairwise

import shapes
import torch
from shapes_net import LABELS, PREPROCESS, SEED, batches, rate
from torch import nn
from torch_export import export

WIDTH = 96
HEADS = 4
DEPTH = 4
CELLS = shapes.SIZE // 8


class Attention(nn.Module):
    """Multi-head self-attention, written out so that its weights are a tensor of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH))


class Block(nn.Module):
    """Attention, then two linear layers, each added to what went in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ShapesViT(nn.Module):
    """Tokens, blocks, and the class token's answer."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((3, 24, 48, WIDTH)):
            convolution = nn.Conv2d(before, after, 3, 2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
        self.embed = nn.Sequential(*layers, nn.Conv2d(WIDTH, WIDTH, 1))
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.place = nn.Parameter(torch.randn(1, CELLS * CELLS + 1, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(LABELS))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])


def train() -> ShapesViT:
    torch.manual_seed(SEED)
    network = ShapesViT().train()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    for step, (pixels, labels, _) in enumerate(batches()):
        optimizer.param_groups[0]["lr"] = rate(step) / 2
        scores = network(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return network.eval()


def main() -> None:
    export(train(), "shapes_vit.onnx", shapes.SIZE, PREPROCESS, LABELS)


if __name__ == "__main__":
    main()
