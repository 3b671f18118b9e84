"""Print how far onnxcam's maps are from the libraries' and the frameworks' own.

First the raw Grad-CAM of each framework, layer by layer, then every method of pytorch-grad-cam and
torchcam, network by network. The recordings are those of `tests/references`; no framework is
needed.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/parity.py
"""

from __future__ import annotations

from collections import defaultdict

from references.derivation import distance
from references.deviations import deviates
from references.method_maps import read_maps, studies
from references.rebuild import build, read, recorded
from references.replay import differences, model_for

import onnxcam


def main() -> None:
    gradcams()
    print()
    every_method()


def gradcams() -> None:
    """Grad-CAM against what the training framework's own backward pass gives."""
    print("| network | layers | largest difference |\n|---|---|---|")
    for name in recorded():
        reference = read(name)
        model = build(reference)
        away = []
        for path, tensor in reference.layers.items():
            answer = onnxcam.Explainer(model, layer=tensor).run(
                reference.x, target=reference.classes
            )
            away.append(distance(answer["raw"][:, 0], reference.cam(path)))
        paths = ", ".join(f"`{path}`" for path in reference.layers)
        print(f"| {name} | {paths} | {max(away):.1e} |", flush=True)


def every_method() -> None:
    """Every method against the libraries, the largest difference over a network's layers.

    An asterisk says that the difference is meant (docs/methods.md).
    """
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for name in studies():
        maps = read_maps(name)
        reference = read(maps.network)
        for one, away in differences(reference, model_for(reference, maps), maps):
            row = one.method + ("*" if deviates(one.method, one.library) else "")
            table[row][name] = max(away, table[row].get(name, 0.0))
    print("| method | " + " | ".join(studies()) + " |\n|" + "---|" * (len(studies()) + 1))
    for row, cells in sorted(table.items()):
        shown = [f"{cells[name]:.1e}" if name in cells else "" for name in studies()]
        print(f"| {row} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    main()
