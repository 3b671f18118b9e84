"""Train the shapes network in Paddle and write models/shapes_paddle.onnx (softmax, NCHW).

Environment: pip install paddlepaddle paddle2onnx onnx numpy opencv-python-headless
Run from the repository root: python scripts/models/train_paddle.py
"""

import tempfile
from pathlib import Path

import onnx
import paddle
import paddle2onnx
from card import embed, save
from paddle import nn
from shapes_net import BLOCKS, LABELS, MASK_WEIGHT, PREPROCESS, SEED, batches, rate


class ShapesNet(nn.Layer):
    """Blocks, global average pooling, one dense layer; the answer is softmax."""

    def __init__(self) -> None:
        super().__init__()
        layers, channels = [], 3
        for width, stride, pool in BLOCKS:
            convolution = nn.Conv2D(channels, width, 3, stride, padding=1, bias_attr=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2D(width), nn.ReLU()))
            if pool > 1:
                layers.append(nn.MaxPool2D(pool))
            channels = width
        self.blocks = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.head = nn.Linear(channels, len(LABELS))

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        return nn.functional.softmax(self.head(self.pool(self.blocks(image)).flatten(1)))


def loss(
    model: ShapesNet, pixels: paddle.Tensor, labels: paddle.Tensor, middles: paddle.Tensor
) -> paddle.Tensor:
    """Cross-entropy plus the mask loss of `shapes_net`."""
    maps = model.blocks(pixels)
    weights = paddle.gather(model.head.weight.t(), labels)
    evidence = (maps * weights.unsqueeze([2, 3])).sum(1)
    share = (nn.functional.softmax(evidence.flatten(1)) * middles.flatten(1)).sum(1)
    mask_loss = -(share + 1e-6).log().mean()
    scores = model.head(model.pool(maps).flatten(1))
    return nn.functional.cross_entropy(scores, labels) + MASK_WEIGHT * mask_loss


def train() -> ShapesNet:
    paddle.seed(SEED)
    model = ShapesNet()
    model.train()
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    for step, batch in enumerate(batches()):
        images, labels, middles = map(paddle.to_tensor, batch)
        optimizer.set_lr(rate(step))
        value = loss(model, images.transpose([0, 3, 1, 2]), labels, middles)
        value.backward()
        optimizer.step()
        optimizer.clear_grad()
        if step % 100 == 0:
            print(f"step {step}: loss {float(value):.4f}", flush=True)
    model.eval()
    return model


def main() -> None:
    image = paddle.static.InputSpec([None, 3, 96, 96], "float32", "image")
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "shapes"
        paddle.jit.save(train(), str(stem), [image])
        file = Path(folder) / "shapes.onnx"
        paddle2onnx.export(
            f"{stem}.json",
            f"{stem}.pdiparams",
            str(file),
            opset_version=13,
            optimize_tool="None",  # the converter's own output; its optimizers install packages
        )
        model = onnx.load(file)
    embed(model, PREPROCESS, LABELS)
    save(model, "shapes_paddle.onnx")


if __name__ == "__main__":
    main()
