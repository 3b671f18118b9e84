"""Small vision transformers, the same numbers in many forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from graphs import CLASSES, Build, weights
from onnx import helper, numpy_helper

PATCH, WIDTH, HEADS = 4, 8, 2


@dataclass(frozen=True)
class Transformer:
    """What a transformer looks like; `depth` blocks share their weights with a deeper one's first.

    `prefix` tokens stand in front of the patches. `read` is what goes into the head: "first",
    "prefix" (all of them, averaged), "patches", "all" (both averaged), or "pooled" (an attention
    of one query). `form` is how attention is stored: "heads" (N, heads, T, T), "batched"
    (N * heads, T, T), "microsoft", "packed" or "onnx" (fused operators). `norm` is "tanh" in place
    of a normalisation, "layer", "skip", which adds and normalises in one, or
    "moments" (of opset 17), a normalisation in single steps as Keras exports it.
    """

    depth: int = 2
    prefix: int = 1
    read: str = "first"
    form: str = "heads"
    norm: str = "tanh"
    size: tuple[int, int] = (16, 12)
    batch: Any = "n"
    opset: int = 18

    @property
    def grid(self) -> tuple[int, int]:
        return self.size[0] // PATCH, self.size[1] // PATCH

    @property
    def tokens(self) -> int:
        return self.prefix + self.grid[0] * self.grid[1]

    def model(self) -> onnx.ModelProto:
        return _Builder(self).model()


class _Builder:
    def __init__(self, what: Transformer) -> None:
        self.what = what
        self.b = Build((what.batch, 3, *what.size), what.opset)

    def model(self) -> onnx.ModelProto:
        b, what = self.b, self.what
        tokens = self._embedded()
        for block in range(what.depth):
            tokens = self._block(tokens, block)
        if what.norm != "skip":
            self._normalised(tokens, "final")
        read = self._read()
        b.linear(read, "logits", WIDTH, CLASSES)
        b.output("logits", [what.batch, CLASSES])
        model = b.model()
        if what.form in ("microsoft", "packed") or what.norm == "skip":
            model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        model.ir_version = 10
        return model

    def _embedded(self) -> str:
        b, what = self.b, self.what
        shape = (WIDTH, 3, PATCH, PATCH)
        b.conv("image", "patches", shape, strides=[PATCH, PATCH], pads=[0, 0, 0, 0])
        b.weight("flat", np.array([0, WIDTH, -1]))
        b.op("Reshape", ["patches", "flat"], "rows")
        tokens = b.op("Transpose", ["rows"], "tokens", perm=[0, 2, 1])
        if what.prefix:
            b.weight("extra", weights(1, what.prefix, WIDTH, seed=3))
            b.weight("one", np.array([1]))
            b.weight("zero", np.array([0]))
            b.weight("rest", np.array([what.prefix, WIDTH]))
            b.op("Shape", ["image"], "sizes")
            b.op("Gather", ["sizes", "zero"], "count", axis=0)
            b.op("Concat", ["count", "rest"], "copies", axis=0)
            b.op("Expand", ["extra", "copies"], "extras")
            tokens = b.op("Concat", ["extras", tokens], "all_tokens", axis=1)
        b.weight("positions", weights(1, what.tokens, WIDTH, seed=4))
        return b.op("Add", [tokens, "positions"], "embedded")

    def _projected(self, x: str, y: str, seed: int) -> str:
        self.b.weight(f"{y}.weight", weights(WIDTH, WIDTH, seed=seed, scale=0.8))
        return self.b.op("MatMul", [x, f"{y}.weight"], y)

    def _block(self, x: str, block: int) -> str:
        b, name = self.b, f"block{block}"
        if self.what.norm != "skip" or block == 0:
            self._normalised(x, f"{name}.norm1")
        q, k, v = (
            self._projected(f"{name}.norm1", f"{name}.{part}", 10 * block + seed)
            for seed, part in enumerate("qkv", 5)
        )
        mixed = getattr(self, f"_{self.what.form}")(q, k, v, name)
        projected = self._projected(mixed, f"{name}.o", 10 * block + 8)
        self._summed(x, projected, f"{name}.attended", f"{name}.norm2")
        self._projected(f"{name}.norm2", f"{name}.hidden", 10 * block + 9)
        b.op("Relu", [f"{name}.hidden"], f"{name}.active")
        last = block == self.what.depth - 1
        then = "final" if last else f"block{block + 1}.norm1"
        self._summed(f"{name}.attended", f"{name}.active", f"{name}.out", then, last)
        return f"{name}.out"

    def _normalised(self, x: str, y: str) -> None:
        if self.what.norm == "tanh":
            self.b.op("Tanh", [x], y)
        elif self.what.norm == "moments":
            self._by_moments(x, y)
        else:
            self.b.op("LayerNormalization", [x, *self._scale_and_shift(y)], y, axis=-1)

    def _by_moments(self, x: str, y: str) -> None:
        """x a - (mean a - shift) with a = scale / deviation."""
        b, (scale, shift) = self.b, self._scale_and_shift(y)
        b.weight(f"{y}.epsilon", np.float32(1e-5))
        b.op("ReduceMean", [x], f"{y}.mean", axes=[2])
        b.op("Sub", [x, f"{y}.mean"], f"{y}.centred")
        b.op("Mul", [f"{y}.centred", f"{y}.centred"], f"{y}.square")
        b.op("ReduceMean", [f"{y}.square"], f"{y}.variance", axes=[2])
        b.op("Add", [f"{y}.variance", f"{y}.epsilon"], f"{y}.positive")
        b.op("Sqrt", [f"{y}.positive"], f"{y}.deviation")
        b.op("Reciprocal", [f"{y}.deviation"], f"{y}.inverse")
        b.op("Mul", [f"{y}.inverse", scale], f"{y}.factor")
        b.op("Neg", [f"{y}.mean"], f"{y}.negative")
        b.op("Mul", [x, f"{y}.factor"], f"{y}.scaled")
        b.op("Mul", [f"{y}.negative", f"{y}.factor"], f"{y}.moved")
        b.op("Add", [f"{y}.moved", shift], f"{y}.shifted")
        b.op("Add", [f"{y}.scaled", f"{y}.shifted"], y)

    def _scale_and_shift(self, y: str) -> list[str]:
        seed = sum(map(ord, y))
        scale = self.b.weight(f"{y}.scale", 1 + weights(WIDTH, seed=seed))
        return [scale, self.b.weight(f"{y}.shift", weights(WIDTH, seed=seed + 1))]

    def _summed(self, x: str, y: str, total: str, normed: str, last: bool = False) -> None:
        """The sum, and its normalisation where that is what follows in the block."""
        if self.what.norm == "skip":
            outputs = [normed] if last else [normed, "", "", total]
            inputs = [x, y, *self._scale_and_shift(normed)]
            attrs: dict[str, Any] = {"epsilon": 1e-5, "domain": "com.microsoft"}
            node = helper.make_node("SkipLayerNormalization", inputs, outputs, normed, **attrs)
            self.b.nodes.append(node)
            return
        self.b.op("Add", [x, y], total)
        if normed.endswith("norm2"):
            self._normalised(total, normed)

    def _split(self, x: str, perm: list[int]) -> str:
        b = self.b
        if not any(t.name == "split" for t in b.stored):
            b.weight("split", np.array([0, -1, HEADS, WIDTH // HEADS]))
            b.weight("join", np.array([0, 0, WIDTH]))
            b.weight("scale", np.float32((WIDTH // HEADS) ** -0.5))
        b.op("Reshape", [x, "split"], f"{x}.apart")
        return b.op("Transpose", [f"{x}.apart"], f"{x}.heads", perm=perm)

    def _heads(self, q: str, k: str, v: str, name: str) -> str:
        b = self.b
        q, v = (self._split(x, [0, 2, 1, 3]) for x in (q, v))
        k = self._split(k, [0, 2, 3, 1])
        b.op("MatMul", [q, k], f"{name}.product")
        b.op("Mul", [f"{name}.product", "scale"], f"{name}.affinity")
        b.op("Softmax", [f"{name}.affinity"], f"{name}.attention", axis=3)
        b.op("MatMul", [f"{name}.attention", v], f"{name}.values")
        b.op("Transpose", [f"{name}.values"], f"{name}.beside", perm=[0, 2, 1, 3])
        return b.op("Reshape", [f"{name}.beside", "join"], f"{name}.mixed")

    def _batched(self, q: str, k: str, v: str, name: str) -> str:
        b, length, width = self.b, self.what.tokens, WIDTH // HEADS
        q, v = (self._split(x, [0, 2, 1, 3]) for x in (q, v))
        k = self._split(k, [0, 2, 3, 1])
        if not any(t.name == "merge" for t in b.stored):
            b.weight("merge", np.array([-1, length, width]))
            b.weight("merge_keys", np.array([-1, width, length]))
            b.weight("unmerge", np.array([-1, HEADS, length, width]))
        shapes = ((q, "merge"), (k, "merge_keys"), (v, "merge"))
        q, k, v = (b.op("Reshape", [x, shape], f"{x}.merged") for x, shape in shapes)
        b.op("MatMul", [q, k], f"{name}.product")
        b.op("Mul", [f"{name}.product", "scale"], f"{name}.affinity")
        b.op("Softmax", [f"{name}.affinity"], f"{name}.attention", axis=2)
        b.op("MatMul", [f"{name}.attention", v], f"{name}.together")
        b.op("Reshape", [f"{name}.together", "unmerge"], f"{name}.values")
        b.op("Transpose", [f"{name}.values"], f"{name}.beside", perm=[0, 2, 1, 3])
        return b.op("Reshape", [f"{name}.beside", "join"], f"{name}.mixed")

    def _microsoft(self, q: str, k: str, v: str, name: str) -> str:
        attrs: dict[str, Any] = {"num_heads": HEADS, "domain": "com.microsoft"}
        return self.b.op("MultiHeadAttention", [q, k, v], f"{name}.mixed", **attrs)

    def _packed(self, q: str, k: str, v: str, name: str) -> str:
        """Q, K and V from one product inside the operator."""
        b = self.b
        stored = {t.name: numpy_helper.to_array(t) for t in b.stored}
        matrices = [stored[f"{x}.weight"] for x in (q, k, v)]
        b.nodes = [node for node in b.nodes if node.output[0] not in (q, k, v)]
        b.weight(f"{name}.qkv", np.concatenate(matrices, axis=1))
        b.weight(f"{name}.shift", np.zeros(3 * WIDTH, np.float32))
        inputs = [f"{name}.norm1", f"{name}.qkv", f"{name}.shift"]
        attrs: dict[str, Any] = {"num_heads": HEADS, "domain": "com.microsoft"}
        return b.op("Attention", inputs, f"{name}.mixed", **attrs)

    def _onnx(self, q: str, k: str, v: str, name: str) -> str:
        attrs: dict[str, Any] = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
        return self.b.op("Attention", [q, k, v], f"{name}.mixed", **attrs)

    def _read(self) -> str:
        b, what = self.b, self.what
        if what.read == "first":
            b.weight("first", np.array(0))
            return b.op("Gather", ["final", "first"], "read", axis=1)
        if what.read == "pooled":
            return self._pooled()
        source, start, stop = "final", 0, what.tokens
        if what.read == "prefix":
            stop = what.prefix
        if what.read == "patches":
            start = what.prefix
        if (start, stop) != (0, what.tokens):
            for name, value in (("start", start), ("stop", stop), ("axis", 1)):
                b.weight(f"slice.{name}", np.array([value]))
            source = b.op("Slice", ["final", "slice.start", "slice.stop", "slice.axis"], "taken")
        b.op("Transpose", [source], "upright", perm=[0, 2, 1])
        b.op("GlobalAveragePool", ["upright"], "mean")
        return b.op("Flatten", ["mean"], "read")

    def _pooled(self) -> str:
        """One learnt query attends to all tokens."""
        b = self.b
        b.weight("query", weights(1, 1, WIDTH, seed=50))
        b.weight("query_scale", np.float32(0.4))
        b.op("Transpose", ["final"], "keys", perm=[0, 2, 1])
        b.op("MatMul", ["query", "keys"], "pool.product")
        b.op("Mul", ["pool.product", "query_scale"], "pool.affinity")
        b.op("Softmax", ["pool.affinity"], "pool.attention", axis=2)
        b.op("MatMul", ["pool.attention", "final"], "pool.mixed")
        return b.op("Flatten", ["pool.mixed"], "read")
