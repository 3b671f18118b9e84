"""The PyTorch networks that are compared, and how each is exported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """An architecture with random weights, shown one picture."""

    library: str
    architecture: str
    shape: tuple[int, ...]
    """Of the picture, channels first."""
    legacy_opset: int | None = None
    """For the exporter that traces TorchScript; None: torch.export's, with its default."""
    dynamic: bool = False
    """Whether the batch is left open."""

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.library} {self.architecture}"


def vision(architecture: str, size: int, **options) -> Network:
    """A classifier of torchvision."""
    return Network("torchvision", architecture, (3, size, size), **options)


def segmentation(architecture: str, size: int, **options) -> Network:
    """A segmentation network of torchvision."""
    return Network("torchvision.segmentation", architecture, (3, size, size), **options)


def image_model(architecture: str, size: int, **options) -> Network:
    """A network of timm."""
    return Network("timm", architecture, (3, size, size), **options)


def written(architecture: str, *shape: int, **options) -> Network:
    """A network written here."""
    return Network("written", architecture, shape, **options)


NETWORKS = [
    vision("resnet18", 128),
    vision("squeezenet1_1", 128, legacy_opset=11),
    vision("mobilenet_v3_small", 128, dynamic=True),
    vision("shufflenet_v2_x1_0", 128, legacy_opset=13),
    image_model("mobilevit_xxs", 128),
    image_model("vit_tiny_patch16_224", 224, dynamic=True),
    image_model("levit_128s", 224),
    image_model("efficientformer_l1", 224),
    image_model("pvt_v2_b0", 128, legacy_opset=17),
    image_model("hrnet_w18_small", 128, dynamic=True),
    image_model("edgenext_xx_small", 128),
    image_model("fastvit_t8", 128),
    image_model("repvgg_a0", 128, legacy_opset=11),
    image_model("ghostnet_100", 128, dynamic=True),
    image_model("xcit_nano_12_p16_224", 224),
    image_model("poolformer_s12", 128),
    image_model("mobilenetv4_conv_small", 128, dynamic=True),
    image_model("focalnet_tiny_srf", 128),
    image_model("twins_svt_small", 224, legacy_opset=17),
    image_model("crossvit_9_240", 240),
    image_model("volo_d1_224", 224),
    image_model("coatnet_nano_rw_224", 224),
    image_model("hiera_tiny_224", 224, legacy_opset=17),
    image_model("davit_tiny", 128),
    image_model("cait_xxs24_224", 224),
    image_model("mixer_s32_224", 224, legacy_opset=17),
    image_model("resmlp_12_224", 224),
    image_model("nf_resnet50", 96),
    image_model("dm_nfnet_f0", 96),
    image_model("convmixer_768_32", 64),
    image_model("cspresnet50", 96),
    image_model("dla34", 96, dynamic=True),
    image_model("res2net50_26w_4s", 96, legacy_opset=14),
    image_model("rexnet_100", 128),
    image_model("tinynet_e", 128),
    image_model("regnetz_b16", 96),
    image_model("deit_tiny_patch16_224", 224, legacy_opset=17),
    image_model("beit_base_patch16_224", 224, legacy_opset=17),
    image_model("twins_pcpvt_small", 224),
    image_model("mvitv2_tiny", 224),
    image_model("nextvit_small", 128),
    image_model("gcvit_xxtiny", 224),
    image_model("tiny_vit_5m_224", 224),
    image_model("maxvit_rmlp_pico_rw_256", 256, legacy_opset=17),
    vision("resnext50_32x4d", 96),
    vision("wide_resnet50_2", 96),
    vision("regnet_y_400mf", 128, dynamic=True),
    vision("regnet_x_400mf", 128),
    vision("efficientnet_b0", 128, legacy_opset=16),
    vision("efficientnet_v2_s", 96),
    vision("mnasnet1_0", 128, dynamic=True),
    vision("mobilenet_v2", 128, legacy_opset=12),
    vision("densenet121", 96),
    vision("googlenet", 128),
    vision("inception_v3", 299),
    vision("vgg11_bn", 96),
    vision("alexnet", 224, dynamic=True),
    vision("convnext_tiny", 96),
    vision("swin_t", 96),
    vision("swin_v2_t", 96),
    vision("vit_b_32", 224),
    vision("maxvit_t", 224),
    segmentation("deeplabv3_mobilenet_v3_large", 96, dynamic=True),
    segmentation("lraspp_mobilenet_v3_large", 128),
    segmentation("fcn_resnet50", 64),
    segmentation("deeplabv3_resnet50", 64, legacy_opset=17),
    written("yolo_v8", 3, 128, 160, legacy_opset=17),
    written("detr", 3, 128, 96, dynamic=True),
    written("ssd", 3, 100, 100, legacy_opset=12),
    written("unet_transposed", 3, 75, 61, dynamic=True),
    written("unet_bilinear", 3, 75, 61, legacy_opset=13),
    written("unet_3d", 1, 16, 20, 24),
    written("crnn", 1, 32, 100, legacy_opset=14),
]
