"""Where onnxcam's maps are meant to be others than a library's or a paper's, and why.

The methods' own descriptions say the same, with the formulas.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """A difference that is on purpose. `recorded` says that the recordings show it."""

    method: str
    source: str
    theirs: str
    ours: str
    why: str
    recorded: bool = False


PGC, TC, CAPTUM, XAI = "pytorch-grad-cam 1.5.7", "torchcam 0.5", "captum 0.9", "OpenVINO XAI"
PAPER = "the paper"

ANY = "any method"

DEVIATIONS = [
    Deviation(
        ANY,
        PGC,
        "divides the map of each of several layers by its maximum plus 1e-7 (`refinecam` too)",
        "divides by the maximum",
        "maps of small numbers fade otherwise, and each layer is meant to count in full",
    ),
    Deviation(
        ANY,
        PGC,
        "enlarges the maps of volumes by cubic splines",
        "enlarges linearly, as of pictures",
        "splines overshoot, and graphs have no operator for them",
    ),
    Deviation(
        ANY,
        PGC,
        "`eigen_smooth` leaves the sign of the component to the decomposition",
        '`smooth="eigen"` gives it the sign of the sum that it stands for',
        "a turned map shows the background",
    ),
    Deviation(
        "ablationcam",
        PGC,
        "sets channels to the smallest activation less 1e7 where that is not 0",
        "sets channels to 0 everywhere",
        "the paper does; and there the library's maps depend on the batch, whose smallest "
        "value it takes",
    ),
    Deviation(
        "cam",
        TC,
        "takes the rows of the only linear layer, or of the one it is told",
        "takes d score / d A, so that any chain of linear layers will do, and refuses other heads",
        "an exported graph has no modules to name, and rows of another layer's weights are no CAM",
    ),
    Deviation(
        "chefer",
        PAPER,
        "reads the class token's row",
        "averages the rows that the head reads, be it one token, two or all patches (so "
        "does `rollout`)",
        "models without a class token are explained too",
    ),
    Deviation(
        "eigencam",
        PAPER,
        "takes the activations as they are",
        "takes the mean over positions off first",
        "pytorch-grad-cam does, and its users know that map",
    ),
    Deviation(
        "eigencam",
        PGC,
        "leaves the sign of the component to the decomposition",
        "takes the sign with which the map is high where the layer is active",
        "a turned map shows the background",
    ),
    Deviation(
        "eigengradcam",
        PGC,
        "leaves the sign of the component to the decomposition",
        "takes the sign with which the map follows HiResCAM's",
        "a turned map shows what speaks against the class",
    ),
    Deviation(
        "fem",
        PGC,
        "sums activations, weighted by the share of unusual positions of each channel",
        "sums the masks of unusual positions, weighted by the channels' means",
        "the paper's formula; the library swaps its factors",
        recorded=True,
    ),
    Deviation(
        "finercam",
        PGC,
        "adds 1e-9 to the sum of the weights, and leaves a class out where two logits are equal",
        "does neither",
        "the constant fades maps of small weights, and equal logits are no reason to compare less",
    ),
    Deviation(
        "fullgrad",
        PGC,
        "takes the biases of `Conv2d` and `BatchNorm2d` modules",
        "takes those in the graph: a folded normalisation is its convolution's bias, and "
        "the biases of linear layers and normalisations that keep their place count",
        "an exported graph has no modules, and the score is made of all of them",
    ),
    Deviation(
        "fullgrad",
        PAPER,
        "its code scales the channels of a layer together",
        'scales each by itself; `scaled="layer"` does as the paper',
        "pytorch-grad-cam does, and its users know that map",
    ),
    Deviation(
        "gradcam++",
        TC,
        "the division by 2 g^2 + g^3 sum A is made on a copy and lost, so a = g^2",
        "the paper's a, with the eps = 1e-6 of pytorch-grad-cam (`eps=0` for the paper's none)",
        "the loss is a slip; eps keeps the quotient from 0 / 0",
    ),
    Deviation(
        "guidedbackprop",
        f"{PGC}, {CAPTUM}",
        "change `nn.ReLU` modules only",
        "takes ReLU6 and ReLUs that are fused with a convolution as well (so does `deconvolution`)",
        "they are rectifiers too, and a graph does not tell by which module they came",
    ),
    Deviation(
        "guidedgradcam",
        CAPTUM,
        "takes Grad-CAM's nearest cell unless told otherwise",
        "enlarges Grad-CAM bilinearly",
        "the paper does",
    ),
    Deviation(
        "hirescam",
        PGC,
        "cuts negative values off",
        "`raw` is signed; the heatmap shows what is above zero",
        "the paper's sum is",
    ),
    Deviation(
        "integratedgradients",
        CAPTUM,
        "the weights of `riemann_trapezoid` have the sum 1 - 1 / steps",
        "they have the sum 1",
        "a mean's weights do",
    ),
    Deviation(
        "iscam",
        PAPER,
        "starts its sum of masks with an empty one, j = 0",
        "starts with j = 1",
        "torchcam does, and its users know that map",
    ),
    Deviation(
        "layercam",
        TC,
        "scales maps of several layers by tanh(2 x) before it takes their maximum",
        "joins them as those of any other method",
        "pytorch-grad-cam does; one rule holds for all methods",
    ),
    Deviation(
        "legrad",
        PAPER,
        "its code pools the tokens of every layer by their mean, and takes two layers",
        "reads what the model's own head reads, and takes all layers (`last`)",
        "the paper's text does",
    ),
    Deviation(
        "lrp",
        CAPTUM,
        "has the epsilon rule unless told otherwise; `GammaRule` leaves the bias as it is",
        "has the gamma rule on convolutions, which counts the bias in",
        "of a ReLU network the epsilon rule is the picture times the gradient (`gamma=0`); "
        "the paper counts the bias in",
    ),
    Deviation(
        "occlusion",
        PAPER,
        "maps the score itself, behind a grey window",
        "maps how much of the score is lost, behind the input's 0",
        "Captum does; heat then means evidence",
    ),
    Deviation(
        "random",
        PGC,
        "draws new weights in every call",
        "draws them from a seed",
        "a map can be made again",
    ),
    Deviation(
        "reciprocam",
        PAPER,
        "has scores behind a softmax and Gaussian masks",
        "has logits, and masks of one place unless told otherwise (`use_gaussian`)",
        "OpenVINO XAI does, and its users know that map",
    ),
    Deviation(
        "rise",
        XAI,
        "enlarges masks by cubic splines, and does not divide by the share of open cells",
        "enlarges linearly, and divides",
        "the paper does",
    ),
    Deviation(
        "saliency",
        CAPTUM,
        "gives every channel",
        "gives the largest; `inputxgradient` and `integratedgradients` give the sum",
        "a heatmap has one number a pixel: the paper's, and what keeps the sum the score's",
    ),
    Deviation(
        "scorecam",
        PAPER,
        "its code takes scores behind a softmax",
        "takes logits",
        "the paper's text and the libraries do",
    ),
    Deviation(
        "scorecam",
        TC,
        "scales activations to [0, 1], then enlarges them side to side",
        "enlarges corner to corner, then scales",
        "pytorch-grad-cam does, and its users know that map",
    ),
    Deviation(
        "scorecam",
        PGC,
        "enlarges the rounding errors of a channel that is the same everywhere to a mask",
        "takes an empty mask for it",
        "rounding is another on every machine",
    ),
    Deviation(
        "shapleycam",
        PGC,
        "takes channels-first layers only, and PyTorch's own second derivatives (a hard "
        "sigmoid has none)",
        "takes every layout and the second derivative of every operator with a rule",
        "nothing in the formula asks for less",
    ),
    Deviation(
        "smoothgrad",
        CAPTUM,
        "averages absolute gradients, of 5 samples with a deviation of 1",
        "averages signed ones, of 50 samples with 0.15 of the picture's range",
        "the paper does",
    ),
    Deviation(
        "smoothgradcam++",
        TC,
        "takes A and ReLU(g) of the last noisy copy alone, and sums g^3 times A",
        "averages all powers of g over the copies, with A of the unchanged picture, and sums A",
        "the paper does, and torchcam's own documentation",
    ),
    Deviation(
        "sscam",
        TC,
        "draws new noise in every call",
        "draws it from a seed",
        "a map can be made again",
    ),
    Deviation(
        "vitreciprocam",
        XAI,
        "takes other tokens for the picture's where there are several extra ones or the "
        "grid is not square",
        "takes the picture's",
        "they would be laid out wrongly",
    ),
    Deviation(
        "xgradcam",
        f"{PGC}, {TC}",
        "cut negative values off",
        "`raw` is signed; the heatmap shows what is above zero",
        "the paper's sum is",
    ),
]


def deviates(method: str, library: str) -> bool:
    """Whether recorded maps of that library are not the ones to expect."""
    return any(
        one.recorded and one.method == method and library in one.source for one in DEVIATIONS
    )
