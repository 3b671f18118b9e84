"""Train a small U-Net on the shapes in PyTorch and write models/shapes_segmentation.onnx.

The answer is one score a pixel and class, (N, 7, 96, 96): background, then the six shapes.

Environment: pip install torch onnx onnxscript numpy opencv-python-headless
Run from the repository root: python scripts/models/train_segmentation.py
"""

import numpy as np
import shapes
import torch
from shapes_net import PREPROCESS
from torch import nn
from torch_export import export

PICTURES = 6000
EPOCHS = 4
BATCH = 32
SEED = 7
PEAK_RATE = 3e-3
LABELS = ["background", *shapes.CLASSES]


def block(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Three levels down to 12x12, and up again with a skip connection at each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.down1, self.down2, self.bottom = block(16, 24), block(24, 32), block(32, 48)
        self.up2, self.up1 = block(48 + 32, 32), block(32 + 24, 24)
        self.scores = nn.Conv2d(24, len(LABELS), 1)
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = self.down1(self.stem(image))
        second = self.down2(self.pool(first))
        deep = self.bottom(self.pool(second))
        deep = self.up2(torch.cat([self.grow(deep), second], 1))
        deep = self.up1(torch.cat([self.grow(deep), first], 1))
        return self.grow(self.scores(deep))


def train() -> UNet:
    torch.manual_seed(SEED)
    images, labels, masks = shapes.draw_many(range(PICTURES))
    truth = np.where(masks, labels[:, None, None] + 1, 0)
    network = UNet().train()
    optimizer = torch.optim.Adam(network.parameters())
    steps = PICTURES // BATCH * EPOCHS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, steps)
    rng = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        order = rng.permutation(PICTURES)
        for start in range(0, PICTURES - BATCH + 1, BATCH):
            chosen, turns = order[start : start + BATCH], int(rng.integers(4))
            x = np.rot90(images[chosen], turns, (1, 2)).transpose(0, 3, 1, 2) / np.float32(255)
            y = np.rot90(truth[chosen], turns, (1, 2))
            scores = network(torch.from_numpy(np.ascontiguousarray(x, np.float32)))
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(y.copy()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch}: loss {loss.item():.4f}", flush=True)
    return network.eval()


def main() -> None:
    export(train(), "shapes_segmentation.onnx", shapes.SIZE, PREPROCESS, LABELS)


if __name__ == "__main__":
    main()
