"""Write what deployment tools make of a model: optimised, quantised, in half precision.

Each variant is one call of the tool that people use for it. Calibration pictures are random
crops of the given ones, stretched to the model's input; how well the quantised model recognises
anything does not matter here, only that it is made as it is made in practice.

Environment: pip install -e '.[cpu]' onnx-ir sympy
Run from the folder scripts/: python -m deployed.variants FOLDER MODEL ...
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.float16 import convert_float_to_float16

from onnxcam.cards import find_card
from onnxcam.graph.network import Network
from onnxcam.graph.picture import find_image_input

PICTURES = Path(__file__).resolve().parents[2] / "models" / "images"
CROPS = 8

Write = Callable[[Path, Path], None]


class Crops(CalibrationDataReader):
    """Random crops of the pictures, as the model's card says that it is fed."""

    def __init__(self, model: Path) -> None:
        network = Network(model)
        image = find_image_input(network)
        card = find_card(model, network, image)
        self._feeds = iter(
            [{image.name: card.preprocess.tensor(crop, image)} for crop in _crops(CROPS)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _crops(count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    pictures = [cv2.imread(str(path))[..., ::-1] for path in sorted(PICTURES.glob("*.png"))]
    for k in range(count):
        picture = pictures[k % len(pictures)]
        height, width = (int(side * rng.uniform(0.6, 1)) for side in picture.shape[:2])
        top, left = (
            rng.integers(0, side - part + 1)
            for side, part in zip(picture.shape[:2], (height, width), strict=True)
        )
        yield np.ascontiguousarray(picture[top : top + height, left : left + width])


def optimised(level: ort.GraphOptimizationLevel, model: Path, to: Path) -> None:
    """What ONNX Runtime makes of a model when it loads it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(to)
    options.log_severity_level = 3
    ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def static(
    quant_format: QuantFormat, activations: QuantType, per_channel: bool, model: Path, to: Path
) -> None:
    """Static quantisation, the model prepared for it as the tool's documentation asks."""
    with _prepared(model) as ready:
        quantize_static(
            str(ready),
            str(to),
            Crops(model),
            quant_format=quant_format,
            per_channel=per_channel,
            activation_type=activations,
            weight_type=QuantType.QInt8,
        )


@contextmanager
def _prepared(model: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        stale = onnx.load(ready)
        del stale.graph.value_info[:]  # the quantiser transposes weights and trusts the old shapes
        onnx.save(stale, ready)
        yield ready


def dynamic(model: Path, to: Path) -> None:
    """Weights quantised, activations at run time."""
    with _prepared(model) as ready:
        quantize_dynamic(str(ready), str(to), weight_type=QuantType.QUInt8)


def blockwise(bits: int, model: Path, to: Path) -> None:
    """Weights of matrix products alone, in blocks of 32."""
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        MatMulNBitsQuantizer,
    )  # needs onnx-ir

    quantizer = MatMulNBitsQuantizer(onnx.load(model), bits=bits, block_size=32)
    quantizer.process()
    _save_changed(quantizer.model.model, to)


def half(model: Path, to: Path) -> None:
    """Everything in float16."""
    onnx.save(convert_float_to_float16(onnx.load(model), keep_io_types=False), to)


def half_inside(model: Path, to: Path) -> None:
    """float16 between float32 inputs and outputs."""
    onnx.save(convert_float_to_float16(onnx.load(model), keep_io_types=True), to)


def transformer(model: Path, to: Path) -> None:
    """ONNX Runtime's offline optimiser for transformers."""
    made = optimizer.optimize_model(str(model), model_type="vit", opt_level=0)
    made.save_model_to_file(str(to))
    _save_changed(onnx.load(to), to)


def _save_changed(model: onnx.ModelProto, to: Path) -> None:
    """Not every model has what these tools look for."""
    if not any(node.domain == "com.microsoft" for node in model.graph.node):
        raise ValueError("nothing in it for this tool")
    onnx.save(model, to)


LEVELS = ort.GraphOptimizationLevel
VARIANTS: dict[str, Write] = {
    "ort-basic": partial(optimised, LEVELS.ORT_ENABLE_BASIC),
    "ort-extended": partial(optimised, LEVELS.ORT_ENABLE_EXTENDED),
    "ort-all": partial(optimised, LEVELS.ORT_ENABLE_ALL),
    "qdq-u8": partial(static, QuantFormat.QDQ, QuantType.QUInt8, False),
    "qdq-s8-channel": partial(static, QuantFormat.QDQ, QuantType.QInt8, True),
    "qdq-u16": partial(static, QuantFormat.QDQ, QuantType.QUInt16, True),
    "qoperator-u8": partial(static, QuantFormat.QOperator, QuantType.QUInt8, False),
    "qoperator-s8-channel": partial(static, QuantFormat.QOperator, QuantType.QInt8, True),
    "dynamic": dynamic,
    "4bit": partial(blockwise, 4),
    "8bit": partial(blockwise, 8),
    "float16": half,
    "float16-inside": half_inside,
    "transformer": transformer,
}


def _require_runs(model: Path) -> None:
    """A tool may write what its own runtime refuses."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def write_variants(folder: Path, model: Path) -> None:
    """All variants of a model that its tools can make, as FOLDER/VARIANT/MODEL."""
    card = model.with_suffix(".json")
    for name, write in VARIANTS.items():
        to = folder / name / model.name
        to.parent.mkdir(parents=True, exist_ok=True)
        if card.exists():
            shutil.copy(card, to.with_suffix(".json"))
        if to.exists():
            continue
        try:
            write(model, to)
            _require_runs(to)
        except Exception as error:  # what a tool cannot convert is not ours to judge
            print(f"{name} {model.name}: {' '.join(str(error).split())[:160]}", flush=True)
            to.unlink(missing_ok=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    for source in sys.argv[2:]:
        write_variants(Path(sys.argv[1]), Path(source))
