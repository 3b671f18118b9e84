"""Pictures a second, from JPEG files to explanations, beside reading and predicting alone.

The same files go, in blocks that take turns,

    through reading and the bare model, one after the other on one thread;
    through the same with pictures read ahead on threads, as `Explainer.stream` reads them;
    through `Explainer.stream`, to raw maps;
    through `Explainer.stream`, to overlays written as PNG on other threads.

The third should have 0.9 of the second at least: then a heatmap costs what the prediction does.

Run from the repository root: python scripts/throughput.py [MODEL ...] [--side N] [--batch N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2

import onnxcam
from onnxcam.execution import ordered
from onnxcam.images import read_image, write_image
from onnxcam.runtime import Runner
from onnxcam.streaming import workers

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "models" / "images"

Flow = Callable[[list[Path]], object]


def jpegs(folder: Path, side: int, count: int) -> list[Path]:
    """The repository's pictures as JPEG files of that many pixels on their longer side."""
    found = sorted(p for p in PICTURES.iterdir() if p.suffix in (".png", ".jpg"))
    paths = []
    for source in found:
        picture = read_image(source)
        scale = side / max(picture.shape[:2])
        path = folder / f"{source.stem}.jpg"
        write_image(path, cv2.resize(picture, None, fx=scale, fy=scale))
        paths.append(path)
    return list(islice(cycle(paths), count))


def flows(model: Path, folder: Path, batch: int | None) -> dict[str, Flow]:
    """What is compared, by name."""
    explainer = onnxcam.Explainer(model)
    assembly = explainer._assembly
    runner = Runner(explainer.network.serialized, None, explainer.network.folder)

    def in_turn(paths: list[Path]) -> None:
        for path in paths:
            runner.run(assembly.fed(assembly.prepared(path).x))

    def ahead(paths: list[Path]) -> None:
        read = ordered(paths, assembly.prepared, workers(), 2 * workers())
        for picture in read:
            runner.run(assembly.fed(picture.x))

    def raw(paths: list[Path]) -> None:
        for one in explainer.stream(paths, batch=batch):
            assert isinstance(one, onnxcam.Explanation), one

    def overlays(paths: list[Path]) -> None:
        def write(pair: tuple[int, onnxcam.Explanation]) -> None:
            pair[1].save(folder / f"{pair[0]}.png")

        def explained() -> Iterator[tuple[int, onnxcam.Explanation]]:
            for number, one in enumerate(explainer.stream(paths, batch=batch)):
                assert isinstance(one, onnxcam.Explanation), one
                yield number, one

        for _ in ordered(explained(), write, workers(), 2 * workers()):
            pass

    return {"in turn": in_turn, "ahead": ahead, "raw maps": raw, "overlays": overlays}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--side", type=int, default=1024, help="longer side of the pictures")
    parser.add_argument("--count", type=int, default=48, help="pictures a block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--pause", type=float, default=0.4, help="seconds between blocks")
    given = parser.parse_args()
    print(f"{'model':24}" + "".join(f"{name:>12}" for name in ("in turn", "ahead")), end="")
    print(f"{'raw maps':>20}{'overlays':>20}   pictures a second (share of 'ahead')")
    for model in given.models or [ROOT / "models" / "efficientnet_lite0.onnx"]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = jpegs(folder, given.side, given.count)
            compared = flows(model, folder, given.batch)
            spent: dict[str, list[float]] = {name: [] for name in compared}
            for flow in compared.values():  # sessions and their memory
                flow(paths[:8])
            for _ in range(given.rounds):
                for name, flow in compared.items():
                    time.sleep(given.pause)
                    start = time.perf_counter()
                    flow(paths)
                    spent[name].append(time.perf_counter() - start)
        rates = {name: given.count / statistics.median(times) for name, times in spent.items()}
        line = f"{model.stem:24}{rates['in turn']:12.1f}{rates['ahead']:12.1f}"
        for name in ("raw maps", "overlays"):
            line += f"{rates[name]:12.1f} ({rates[name] / rates['ahead']:.2f})"
        print(line, flush=True)


if __name__ == "__main__":
    main()
