"""A profile: the operators that its runtimes run, and substitutes for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError, nearest
from onnxcam.graph.body import needed
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import with_tensors
from onnxcam.profiles.branches import both_branches
from onnxcam.profiles.loops import unrolled
from onnxcam.profiles.products import apart
from onnxcam.profiles.scatter import compared
from onnxcam.profiles.sizes import multiplied

Substitute = Callable[[Emitter, gs.Node], list[gs.Tensor] | None]
"""Emits what equals a node's outputs; None where the node may stay."""


@dataclass(frozen=True)
class Profile:
    """What the nodes that onnxcam adds may be; the model's own nodes are as they were.

    `runs` are the operators that every runtime of the profile runs, None where that is all of
    them; `substitutes` emit others in their place. `choice` is how the class is chosen unless
    somebody says.
    """

    name: str
    runtimes: str
    runs: frozenset[str] | None = None
    substitutes: Mapping[str, Substitute] = field(default_factory=dict)
    choice: str = "run-time"

    def apply(self, e: Emitter, wanted: Iterable[gs.Tensor]) -> None:
        """Replace what was emitted for the tensors `wanted` and does not fit; drop what was not.

        Raises `ModelError` for an operator that has no substitute.
        """
        if self.runs is None:
            return
        emitted, e.nodes = needed(e.nodes, {tensor.name for tensor in wanted}), []
        for node in emitted:
            self._keep(e, node)

    def _keep(self, e: Emitter, node: gs.Node) -> None:
        start = len(e.nodes)
        substitute = self.substitutes.get(node.op)
        made = None if substitute is None else substitute(e, node)
        if made is None:
            self._require(node)
            e.nodes.append(node)
            return
        own = {t.name: y for t, y in zip(made, node.outputs, strict=True)}
        added, e.nodes = e.nodes[start:], e.nodes[:start]
        for each in added:
            self._keep(e, _under(each, own))

    def _require(self, node: gs.Node) -> None:
        if self.runs is not None and (node.op not in self.runs or node.domain):
            raise ModelError(
                f"profile '{self.name}': {node.op} is needed here, which not all of "
                f"{self.runtimes} run; choose a later layer, another method, or profile 'cpu'"
            )


def _under(node: gs.Node, own: Mapping[str, gs.Tensor]) -> gs.Node:
    """A node of a substitute, the replaced node's own outputs in place of what equals them."""
    return with_tensors(
        node,
        inputs=[own.get(t.name, t) for t in node.inputs],
        outputs=[own.get(t.name, t) for t in node.outputs],
    )


_EVERYWHERE = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose
Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf Exp Expand Flatten Floor Gather
GatherElements GatherND Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid
Identity InstanceNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Min Mod
Mul Neg Not Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round Shape
Sigmoid Sign Sin Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK
Transpose Unsqueeze Where Xor
"""

EVERYWHERE = frozenset(_EVERYWHERE.split())
"""What ONNX Runtime (CPU, CUDA, Web), TensorRT and OpenVINO all have by their operator lists."""

WITHOUT_CUDA = frozenset(["Celu", "Col2Im", "MaxUnpool", "Mish"])
"""What ONNX Runtime 1.31 runs on the CPU only: under CUDA the heat would leave the device."""


class _AllBut(frozenset[str]):
    """All operators but these."""

    def __contains__(self, op: object) -> bool:
        return not super().__contains__(op)


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("cpu", "ONNX Runtime on a CPU"),
        Profile("cuda", "ONNX Runtime with CUDA", _AllBut(WITHOUT_CUDA)),
        Profile(
            "portable",
            "ONNX Runtime (CPU, CUDA, Web), TensorRT and OpenVINO",
            EVERYWHERE,
            {
                "ScatterElements": compared,
                "Loop": unrolled,
                "If": both_branches,
                "Size": multiplied,
                "MatMul": apart,
            },
            # Of an input with a default, Node takes the default whatever is fed, without a word;
            # OpenVINO makes it a constant, and the browser refuses it.
            choice="required",
        ),
    )
}
"""For which runtimes a model can be rewritten."""


def find_profile(name: str) -> Profile:
    """A profile by name. Raises `ModelError` with the nearest names."""
    if name not in PROFILES:
        near = nearest(name, PROFILES) or f"; there is {', '.join(PROFILES)}"
        raise ModelError(f"no profile '{name}'{near}")
    return PROFILES[name]
