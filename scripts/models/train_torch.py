"""Train the shapes network in PyTorch and write models/shapes_torch.onnx (logits, NCHW, opset 20).

Environment: pip install torch onnx onnxscript numpy opencv-python-headless
Run from the repository root: python scripts/models/train_torch.py
"""

import torch
from shapes_net import BLOCKS, LABELS, MASK_WEIGHT, PREPROCESS, SEED, batches, rate
from torch import nn
from torch_export import export


class ShapesNet(nn.Module):
    """Blocks, global average pooling, one dense layer; the answer is logits."""

    def __init__(self) -> None:
        super().__init__()
        layers, channels = [], 3
        for width, stride, pool in BLOCKS:
            convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU()))
            if pool > 1:
                layers.append(nn.MaxPool2d(pool))
            channels = width
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(channels, len(LABELS))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(image).mean((2, 3)))


def loss(
    model: ShapesNet, pixels: torch.Tensor, labels: torch.Tensor, middles: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy plus the mask loss of `shapes_net`."""
    maps = model.blocks(pixels)
    evidence = torch.einsum("nk,nkhw->nhw", model.head.weight[labels], maps)
    share = (evidence.flatten(1).softmax(1) * middles.flatten(1)).sum(1)
    mask_loss = -(share + 1e-6).log().mean()
    scores = model.head(maps.mean((2, 3)))
    return nn.functional.cross_entropy(scores, labels) + MASK_WEIGHT * mask_loss


def train() -> ShapesNet:
    torch.manual_seed(SEED)
    model = ShapesNet().train()
    optimizer = torch.optim.Adam(model.parameters())
    for step, batch in enumerate(batches()):
        images, labels, middles = map(torch.from_numpy, batch)
        optimizer.param_groups[0]["lr"] = rate(step)
        value = loss(model, images.permute(0, 3, 1, 2), labels, middles)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: loss {value.item():.4f}", flush=True)
    return model.eval()


def main() -> None:
    export(train(), "shapes_torch.onnx", 96, PREPROCESS, LABELS)


if __name__ == "__main__":
    main()
