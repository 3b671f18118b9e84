"""Export a PyTorch classifier to models/, with its preprocessing and labels inside."""

import onnx
import torch
from card import MODELS, embed, save, slim
from torch import nn


def export(
    network: nn.Module,
    name: str,
    size: int,
    preprocess: dict[str, object],
    labels: list[str],
) -> None:
    """Write models/`name` for pictures (batch, 3, size, size), the batch open, opset 20."""
    path = MODELS / name
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, size, size),),
        path,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=20,
        dynamo=True,
        external_data=False,
    )
    model = onnx.load(path)
    slim(model)
    embed(model, preprocess, labels)
    save(model, name)
