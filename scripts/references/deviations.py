"""Where onnxcam's maps are meant to be others than a library's, and why.

The methods' own descriptions say the same; these are the ones that a user of the libraries meets.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """A difference that is on purpose. `recorded` says that the recordings show it."""

    method: str
    library: str
    theirs: str
    ours: str
    recorded: bool = False


PGC, TC = "pytorch-grad-cam 1.5.7", "torchcam 0.5"

DEVIATIONS = [
    Deviation(
        "fem",
        PGC,
        "sums activations, weighted by the share of unusual positions of each channel",
        "sums the channels' means over the unusual positions, as the paper's formula does",
        recorded=True,
    ),
    Deviation(
        "hirescam",
        PGC,
        "cuts negative values off",
        "`raw` is signed, as in the paper; the heatmap shows what is above zero",
    ),
    Deviation(
        "xgradcam",
        f"{PGC}, {TC}",
        "cut negative values off",
        "`raw` is signed, as the paper's sum is; the heatmap shows what is above zero",
    ),
    Deviation(
        "cam",
        TC,
        "takes the rows of the only linear layer, or of the one it is told",
        "takes d score / d A, so that any chain of linear layers will do, and refuses other heads",
    ),
    Deviation(
        "gradcam++",
        TC,
        "the division by 2 g^2 + g^3 sum A is made on a copy and lost, so a = g^2",
        "the paper's a, with the eps = 1e-6 of pytorch-grad-cam (`eps=0` for the paper's none)",
    ),
    Deviation(
        "smoothgradcam++",
        TC,
        "takes ReLU(g) of the last noisy copy alone",
        "averages all powers of g over the copies, as the paper does",
    ),
    Deviation(
        "layercam",
        TC,
        "scales maps of several layers by tanh(2 x) before it takes their maximum",
        "joins them as those of any other method",
    ),
    Deviation(
        "ablationcam",
        PGC,
        "sets channels to the smallest activation less 1e7 where that is not 0",
        "sets channels to 0 everywhere, as the paper does",
    ),
    Deviation(
        "scorecam",
        TC,
        "scales activations to [0, 1], then enlarges them side to side",
        "enlarges corner to corner, then scales, as pytorch-grad-cam does",
    ),
    Deviation(
        "shapleycam",
        PGC,
        "takes channels-first layers only, and PyTorch's own second derivatives (a hard sigmoid "
        "has none)",
        "takes every layout and the second derivative of every operator with a rule",
    ),
    Deviation(
        "fullgrad",
        PGC,
        "takes the biases of `Conv2d` and `BatchNorm2d` modules",
        "takes those in the graph: a folded normalisation has none of its own, and the biases of "
        "linear layers that keep their place count",
    ),
    Deviation(
        "eigencam",
        PGC,
        "leaves the sign of the component to the decomposition",
        "settles it; the method's description says how (the same for `eigengradcam`, `kpcacam`)",
    ),
    Deviation(
        "refinecam",
        PGC,
        "adds 1e-7 to the maximum that a map is divided by, which fades maps of small numbers",
        "divides by the maximum",
    ),
    Deviation(
        "random",
        PGC,
        "draws new weights in every call",
        "draws them from a seed",
    ),
]


def deviates(method: str, library: str) -> bool:
    """Whether recorded maps of that library are not the ones to expect."""
    return any(
        one.recorded and one.method == method and library in one.library for one in DEVIATIONS
    )
