"""Matrix products with packed weights, against the weights unpacked in NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import pytest
from autodiff.numeric import session_of
from autodiff.programs import Program, check_cotangents, outputs_of, program, pulled

from onnxcam.errors import UnsupportedOperatorError
from onnxcam.gradients import append_gradients

N = 4


def packed(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Rows of small numbers as bytes, the first of them in the lowest bits."""
    per_byte = 8 // bits
    short = -numbers.shape[-1] % per_byte
    whole = np.pad(numbers, [*[(0, 0)] * (numbers.ndim - 1), (0, short)])
    groups = whole.reshape(*whole.shape[:-1], -1, per_byte)
    return (groups << (bits * np.arange(per_byte))).sum(-1).astype(np.uint8)


def product_of(
    bits: int, k: int, block: int, points: str = "none", bias: bool = False, front: str = "2,3"
) -> tuple[Program, np.ndarray]:
    """The model, and the weights (N, K) in real numbers."""
    rng = np.random.default_rng(bits * k + block)
    blocks = -(-k // block)
    numbers = rng.integers(0, 2**bits, (N, blocks, block))
    scale = rng.uniform(0.05, 0.1, (N, blocks)).astype(np.float32)
    zero = {
        "none": np.full((N, blocks), 2.0 ** (bits - 1)),
        "packed": rng.integers(0, 2**bits, (N, blocks)),
        "float": rng.uniform(0, 2**bits, (N, blocks)).astype(np.float32),
    }[points]
    width = block * bits // 8
    more, stored = "", {"b": packed(numbers, bits), "s": scale}
    names = ["x", "b", "s", "", "", ""]
    if points == "packed":
        stored["z"] = packed(zero, bits)
        more += f", uint8[{N},{stored['z'].shape[-1]}] z"
    elif points == "float":
        stored["z"] = zero
        more += f", float[{N},{blocks}] z"
    if points != "none":
        names[3] = "z"
    if bias:
        stored["c"], names[5] = rng.uniform(-1, 1, N).astype(np.float32), "c"
        more += f", float[{N}] c"
    while not names[-1]:
        names.pop()
    text = f"""
    g (float[{front},{k}] x, uint8[{N},{blocks},{width}] b, float[{N},{blocks}] s{more})
      => (float[{front},{N}] y) {{
      y = com.microsoft.MatMulNBits<K = {k}, N = {N}, bits = {bits}, block_size = {block}>
        ({", ".join(names)})
    }}
    """
    weights = ((numbers - zero[..., None]) * scale[..., None]).reshape(N, -1)[:, :k]
    p = program(text, "x", stored=" ".join(stored), **stored)
    return p, weights


WAYS = [
    *product((4, 8), ((32, 16), (40, 16), (64, 32)), ("none", "packed"), (False, True)),
    *product((2,), ((32, 16), (64, 32)), ("none", "packed"), (False,)),
    *product((4,), ((32, 16), (40, 16)), ("float",), (False, True)),
]


@pytest.mark.parametrize(("bits", "sizes", "points", "bias"), WAYS)
def test_the_gradient_is_that_of_the_unpacked_weights(
    bits: int, sizes: tuple[int, int], points: str, bias: bool
) -> None:
    p, weights = product_of(bits, *sizes, points, bias)
    bias_row = 0
    if bias:
        (tensor,) = (t for t in p.model.graph.initializer if t.name == "c")
        bias_row = onnx.numpy_helper.to_array(tensor)
    want = p.feeds["x"] @ weights.T + bias_row
    np.testing.assert_allclose(outputs_of(p), want, atol=2e-3 * np.abs(want).max())
    seed = np.random.default_rng(0).uniform(-1, 1, (2, 3, N))
    np.testing.assert_allclose(pulled(p, seed)["x"], seed @ weights, atol=1e-5)


@pytest.mark.parametrize("bits", [4, 8])
def test_cotangents(bits: int) -> None:
    check_cotangents(product_of(bits, 40, 16, "packed")[0])


def test_weights_in_another_order_are_refused() -> None:
    (p, _) = product_of(4, 32, 16)
    node = p.model.graph.node[0]
    node.input.extend(["", "order"])
    p.model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(32, np.int32), "order"))
    with pytest.raises(UnsupportedOperatorError, match="g_idx"):
        append_gradients(p.model, "y", ["x"])


def test_the_weights_are_unpacked_before_the_first_run() -> None:
    """Nothing of the unpacking depends on the input, so that a runtime folds it."""
    p, _ = product_of(4, 40, 16, "packed")
    model = append_gradients(p.model, "y", ["x"])
    varying = {"x"}
    for node in model.graph.node:
        if varying & set(node.input):
            varying |= set(node.output)
    added = [n for n in model.graph.node if n.name.startswith("onnxcam/")]
    assert "Floor" in {n.op_type for n in added}
    assert not [n for n in added if n.op_type == "Floor" and varying & set(n.output)]
    assert session_of(model).run(["x_grad"], p.feeds)[0].shape == (2, 3, 40)
