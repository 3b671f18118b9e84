"""The export of a PyTorch classifier whose price is taken."""

from __future__ import annotations

import onnx
import torch


def export(module: torch.nn.Module, image: torch.Tensor) -> onnx.ModelProto:
    """The network as it is usually exported: any batch, from "image" to "logits".

    `image` is one picture, (1, channels, height, width).
    """
    program = torch.onnx.export(
        module,
        (torch.cat([image, image]),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["image"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    return program.model_proto
