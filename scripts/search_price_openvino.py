"""OpenVINO XAI's Recipro-CAMs, timed for `search_price.py`, which runs this in another environment.

Prints the seconds of each round as a JSON list, or with a file to write to, leaves the map there.

Environment: pip install openvino==2024.4 openvino-xai==1.1
Run: python scripts/search_price_openvino.py METHOD MODEL.onnx ROUNDS THREADS [MAP.npy]
    (the image is beside the model, MODEL.npy)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov
from openvino_xai.methods.white_box.recipro_cam import ReciproCAM, ViTReciproCAM

METHODS = {"ReciproCAM": ReciproCAM, "ViTReciproCAM": ViTReciproCAM}


def main(name: str, file: Path, rounds: int, threads: int, answer: Path | None) -> None:
    image = np.load(file.with_suffix(".npy"))
    core = ov.Core()
    method = METHODS[name](core.read_model(file), embed_scaling=False, prepare_model=False)
    explained = method.prepare_model(load_model=False)
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(explained, "CPU", settings)
    spent = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        found = compiled(image)
        spent.append(time.perf_counter() - start)
    if answer is not None:
        np.save(answer, found["saliency_map"])
    print(json.dumps(spent[1:]))


if __name__ == "__main__":
    name, file, rounds, threads, *answer = sys.argv[1:]
    main(name, Path(file), int(rounds), int(threads), Path(answer[0]) if answer else None)
