"""Record what Captum says of the methods that explain the picture itself.

From scripts/, in the PyTorch environment, with captum: python -m references.pixels

Of the large networks a window of each map is kept, with the sums over all of it; the small ones,
for layer-wise relevance propagation, are kept with their models. `tests/methods/pixels` replays
them.
"""

import gzip
import io
import warnings
from collections.abc import Callable
from unittest import mock

import captum
import numpy as np
import onnx
import torch
from captum import attr
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule
from torch import nn

from .from_torch import NETWORKS
from .rebuild import ROOT, read

RECORDED = ROOT / "tests" / "methods" / "pixels" / "recorded"
SIDE = 48
"""Rows and columns of a map that are kept."""
STEPS, SAMPLES, NOISE = 6, 4, 0.15
BASELINE = 0.1
SEEDS = {"torch_resnet50": 0, "torch_mobilenet_v3_large": 2, "torch_shapes": 0}
"""Of the noise; with others some ReLU's input lies within rounding of zero, and PyTorch's own
gradients in single and in double precision differ by a percent."""
LAYERS = {
    "torch_resnet50": "layer4.2",
    "torch_mobilenet_v3_large": "features.16",
    "torch_shapes": "4",
}

Maps = dict[str, np.ndarray]


def main() -> None:
    """Record all of them."""
    warnings.filterwarnings("ignore")
    RECORDED.mkdir(parents=True, exist_ok=True)
    for name, layer in LAYERS.items():
        maps = {key: _kept(value) for key, value in large(name, layer).items()}
        flat = {f"{key} {part}": v for key, parts in maps.items() for part, v in parts.items()}
        np.savez_compressed(RECORDED / f"{name}.npz", captum=captum.__version__, **flat)
        print(name, ", ".join(maps), flush=True)
    for name, (module, x) in small_networks().items():
        np.savez_compressed(RECORDED / f"{name}.npz", x=x.numpy(), **relevance(module, x))
        (RECORDED / f"{name}.onnx.gz").write_bytes(gzip.compress(exported(module, x), mtime=0))
        print(name, flush=True)


def large(name: str, layer: str) -> Maps:
    """The maps (H, W), in double precision, of the first picture of a recorded network."""
    reference = read(name)
    module = NETWORKS[name]().module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    x = torch.from_numpy(reference.x[:1]).double()
    target, seed = reference.classes[0], SEEDS[name]
    cam = attr.GuidedGradCam(module, module.get_submodule(layer))
    signed = {
        "inputxgradient": attr.InputXGradient(module).attribute(x, target=target),
        "guidedbackprop": attr.GuidedBackprop(module).attribute(x, target=target),
        "deconvolution": attr.Deconvolution(module).attribute(x, target=target),
        "guidedgradcam": cam.attribute(x, target, interpolate_mode="bilinear"),
        **{
            f"integratedgradients {rule}": attr.IntegratedGradients(module).attribute(
                x, baselines=BASELINE, target=target, n_steps=STEPS, method=rule
            )
            for rule in ("gausslegendre", "riemann_middle", "riemann_right")
        },
    }
    strongest = {
        "saliency": attr.Saliency(module).attribute(x, target=target),
        "smoothgrad": noisy(module, x, target, "smoothgrad", seed),
        "vargrad": noisy(module, x, target, "vargrad", seed),
    }
    maps = {key: value.detach().sum(1) for key, value in signed.items()}
    maps |= {key: value.detach().abs().amax(1) for key, value in strongest.items()}
    return {key: value[0].numpy() for key, value in maps.items()}


def noisy(module: nn.Module, x: torch.Tensor, target: int, kind: str, seed: int) -> torch.Tensor:
    """A noise tunnel through the noise that onnxcam draws."""
    picture = x.numpy().astype(np.float32)
    shape = (SAMPLES, *picture.shape[1:])
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    noise *= np.float32(NOISE * float(picture.max() - picture.min()))
    tunnel = attr.NoiseTunnel(attr.Saliency(module))
    with mock.patch("torch.normal", return_value=torch.from_numpy(noise).double()):
        return tunnel.attribute(x, nt_type=kind, nt_samples=SAMPLES, target=target, abs=False)


def _kept(whole: np.ndarray) -> Maps:
    start = len(whole) * 3 // 8
    window = whole[start : start + SIDE, start : start + SIDE]
    sums = np.array([whole.sum(), np.abs(whole).sum(), np.abs(whole).max()])
    return {"window": window.astype(np.float32), "sums": sums}


class Plain(nn.Module):
    """Convolutions and poolings, then two linear layers."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        self.hidden = nn.Linear(8 * 16, 12, bias=bias)
        self.relu = nn.ReLU()
        self.head = nn.Linear(12, 5, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.hidden(torch.flatten(self.features(x), 1))))


class Residual(nn.Module):
    """Batch normalisations and a residual block, then global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(6, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.BatchNorm2d(6),
        )
        self.add = Addition_Module()
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.relu(self.add(x, self.block(x)))
        return self.head(torch.flatten(self.pool(x), 1))


def small_networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """Networks with random weights, and two pictures for each."""
    torch.manual_seed(0)
    networks = {"plain": Plain(True), "plain_without_bias": Plain(False), "residual": Residual()}
    found = {}
    for name, module in networks.items():
        x = torch.rand(2, 3, 16, 16) if name.endswith("bias") else torch.randn(2, 3, 16, 16)
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.uniform_(norm.bias, -0.3, 0.3)
                norm.momentum = 1.0
        module.train()(torch.randn(16, 3, 16, 16))
        found[name] = (module.eval(), x)
    return found


Rule = Callable[[nn.Module], object]


def relevance(module: nn.Module, x: torch.Tensor) -> Maps:
    """Relevance (N, H, W) of the second class, by rule."""

    def epsilon(part: nn.Module) -> object:
        return EpsilonRule(1e-9 if isinstance(part, nn.MaxPool2d) else 0.25)

    def gamma(part: nn.Module) -> object:
        return GammaRule(0.25) if isinstance(part, nn.Conv2d) else EpsilonRule()

    rules: dict[str, Rule] = {"default": lambda part: EpsilonRule(), "epsilon": epsilon}
    if all(getattr(part, "bias", None) is None for part in module.modules()):
        rules["gamma"] = gamma
    return {name: _relevance(module, x, rule) for name, rule in rules.items()}


def _relevance(module: nn.Module, x: torch.Tensor, rule: Rule) -> np.ndarray:
    module = module.double()
    for part in module.modules():
        if not list(part.children()) and not isinstance(part, nn.ReLU):
            part.rule = rule(part)
    found = attr.LRP(module).attribute(x.double(), target=1)
    module.float()
    return found.detach().sum(1).numpy()


def exported(module: nn.Module, x: torch.Tensor) -> bytes:
    """The model as it is: normalisations not folded, because Captum does not fold them either."""
    written = io.BytesIO()
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        module, (x,), dynamo=True, optimize=False, dynamic_shapes=batch, verbose=False
    )
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    onnx.save(model, written)
    return written.getvalue()


if __name__ == "__main__":
    main()
