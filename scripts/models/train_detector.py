"""Train a small detector on pictures of several shapes in PyTorch and write it twice:
models/shapes_detector.onnx, whose answer is raw, (N, 4 + 6, 576) as YOLOv8 puts it out, and
models/shapes_detector_nms.onnx, the same with NonMaxSuppression inside, (detections, 7).

An anchor-free detector of one level: each of 24x24 cells gives a score a class, and how far it is
to the four sides of the box. Cells near an object's middle are asked for its class, with weight
falling off from there, so that every object has one best cell.

Environment: pip install torch onnx onnxscript numpy opencv-python-headless
Run from the repository root: python scripts/models/train_detector.py
"""

import math

import numpy as np
import onnx
import scenes
import torch
from card import MODELS, embed, save, slim
from onnx import TensorProto, helper, numpy_helper
from shapes_net import LABELS, PREPROCESS
from torch import nn

PICTURES = 12_000
EPOCHS = 5
BATCH = 32
SEED = 7
PEAK_RATE = 3e-3
STRIDE, GRID, SIZE = 4, 24, 96
BOX_WEIGHT = 2.0
MOST, OVERLAP, SCORE = 20, 0.5, 0.25
"""Detections a class, IoU and score of the file with NonMaxSuppression inside."""


def block(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.SiLU())


class Detector(nn.Module):
    """A backbone down to 12x12, its deepest map joined with the one of 24x24, and a head."""

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool2d(2)
        self.backbone = nn.Sequential(block(3, 24, 2), pool, block(24, 32), block(32, 48))
        self.deep = nn.Sequential(pool, block(48, 64), block(64, 64), nn.Conv2d(64, 32, 1))
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.neck = block(80, 48)
        self.boxes = nn.Sequential(block(48, 32), nn.Conv2d(32, 4, 1))
        self.classes = nn.Sequential(block(48, 32), nn.Conv2d(32, len(LABELS), 1))
        nn.init.constant_(self.classes[-1].bias, -4.0)  # nearly all cells are background
        ys, xs = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
        middles = (torch.stack([xs, ys]).flatten(1) + 0.5) * STRIDE
        self.register_buffer("middles", middles, persistent=False)

    def scores_and_sides(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, 6, 576), and distances to left, top, right and bottom in pixels."""
        fine = self.backbone(image)
        joined = self.neck(torch.cat([fine, self.grow(self.deep(fine))], 1))
        sides = nn.functional.softplus(self.boxes(joined).flatten(2)) * STRIDE
        return self.classes(joined).flatten(2), sides

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 4 + 6, 576): centre x and y, width, height in pixels, then a score a class."""
        logits, sides = self.scores_and_sides(image)
        before, behind = self.middles - sides[:, :2], self.middles + sides[:, 2:]
        return torch.cat([(before + behind) / 2, behind - before, logits.sigmoid()], 1)


def truth(scene: scenes.Scene) -> tuple[np.ndarray, np.ndarray]:
    """Of one picture: wanted scores (6, 576) in [0, 1], and boxes (4, 576)."""
    ys, xs = (np.mgrid[0:GRID, 0:GRID].reshape(2, -1) + 0.5) * STRIDE
    scores = np.zeros((len(LABELS), GRID * GRID), np.float32)
    boxes = np.zeros((4, GRID * GRID), np.float32)
    for label, (x1, y1, x2, y2) in zip(scene.labels, scene.boxes, strict=True):
        away = ((xs - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((ys - (y1 + y2) / 2) / (y2 - y1)) ** 2
        weight = np.exp(-away / (2 * 0.15**2))
        weight[np.argmax(weight)] = 1
        near = weight > 0.2
        scores[label, near] = weight[near]
        boxes[:, near] = np.array([[x1], [y1], [x2], [y2]])
    return scores, boxes


def overlaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Generalised IoU of boxes (n, 4) in pairs."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(0)
    outer = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    both, hull = inner.prod(1), outer.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    return both / union - (hull - union) / hull


def loss(
    model: Detector, pixels: torch.Tensor, scores: torch.Tensor, boxes: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy, weighted by how far off each score is, and generalised IoU near objects."""
    logits, sides = model.scores_and_sides(pixels)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, scores, reduction="none")
    off = (logits.sigmoid() - scores).abs().detach() ** 2
    total = scores.sum().clamp(1)
    near, wanted = scores.max(1).values, boxes.transpose(1, 2)
    found = torch.cat([model.middles - sides[:, :2], model.middles + sides[:, 2:]], 1)
    chosen = near > 0
    apart = 1 - overlaps(found.transpose(1, 2)[chosen], wanted[chosen])
    return (entropy * off).sum() / total + BOX_WEIGHT * (apart * near[chosen]).sum() / total


def rate(step: int, steps: int) -> float:
    """A short warm-up, then half a cosine down to zero."""
    warm = steps // 20
    if step < warm:
        return PEAK_RATE * (step + 1) / warm
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def train() -> Detector:
    torch.manual_seed(SEED)
    drawn = [scenes.draw(seed) for seed in range(PICTURES)]
    images = np.stack([scene.image for scene in drawn])
    scores, boxes = (np.stack(part) for part in zip(*map(truth, drawn), strict=True))
    model = Detector().train()
    optimizer = torch.optim.Adam(model.parameters())
    rng, steps = np.random.default_rng(SEED), PICTURES // BATCH * EPOCHS
    for step in range(steps):
        if step % (PICTURES // BATCH) == 0:
            order = rng.permutation(PICTURES)
        chosen = order[step % (PICTURES // BATCH) * BATCH :][:BATCH]
        pixels = torch.from_numpy(images[chosen].transpose(0, 3, 1, 2).astype(np.float32) / 255)
        optimizer.param_groups[0]["lr"] = rate(step, steps)
        value = loss(
            model, pixels, torch.from_numpy(scores[chosen]), torch.from_numpy(boxes[chosen])
        )
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}: loss {value.item():.4f}", flush=True)
    return model.eval()


def export(model: Detector, name: str) -> onnx.ModelProto:
    path = MODELS / name
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, SIZE, SIZE),),
        path,
        input_names=["image"],
        output_names=["detections"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=20,
        dynamo=True,
        external_data=False,
    )
    raw = onnx.load(path)
    slim(raw)
    embed(raw, PREPROCESS, LABELS)
    save(raw, name)
    return raw


def with_suppression(raw: onnx.ModelProto) -> onnx.ModelProto:
    """The detector with NonMaxSuppression inside, as deployed files have it: one output
    (detections, 7) of picture, x1, y1, x2, y2, class and score."""
    model = onnx.ModelProto()
    model.CopyFrom(raw)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["raw" if name == "detections" else name for name in node.output]
    del graph.output[:]

    def store(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        graph.node.append(helper.make_node(op, inputs, [output], f"post/{output}", **attributes))
        return output

    store("post.sizes", np.array([2, 2, len(LABELS)]))
    graph.node.append(
        helper.make_node(
            "Split", ["raw", "post.sizes"], ["centre", "extent", "scores"], "post/split", axis=1
        )
    )
    add("Mul", ["extent", store("post.half", np.array(0.5, np.float32))], "half_extent")
    add("Sub", ["centre", "half_extent"], "before")
    add("Add", ["centre", "half_extent"], "behind")
    add("Concat", ["before", "behind"], "corners", axis=1)
    boxes = add("Transpose", ["corners"], "boxes", perm=[0, 2, 1])
    limits = [
        store("post.most", np.array([MOST])),
        store("post.overlap", np.array([OVERLAP], np.float32)),
        store("post.score", np.array([SCORE], np.float32)),
    ]
    picked = add("NonMaxSuppression", [boxes, "scores", *limits], "picked")
    store("post.columns", np.array([1, 1, 1]))
    graph.node.append(
        helper.make_node(
            "Split", [picked, "post.columns"], ["picture", "class", "row"], "post/columns", axis=1
        )
    )
    add("Concat", ["picture", "row"], "of_box", axis=1)
    add("GatherND", [boxes, "of_box"], "picked_boxes")
    add("GatherND", ["scores", picked], "picked_scores")
    add("Unsqueeze", ["picked_scores", store("post.one", np.array([1]))], "score")
    add("Cast", ["picture"], "picture_number", to=TensorProto.FLOAT)
    add("Cast", ["class"], "class_number", to=TensorProto.FLOAT)
    columns = ["picture_number", "picked_boxes", "class_number", "score"]
    add("Concat", columns, "detections", axis=1)
    graph.output.append(helper.make_tensor_value_info("detections", 1, ["found", 7]))
    return model


def main() -> None:
    raw = export(train(), "shapes_detector.onnx")
    save(with_suppression(raw), "shapes_detector_nms.onnx")


if __name__ == "__main__":
    main()
