"""Print how far onnxcam's raw Grad-CAM is from each framework's own, layer by layer.

The recordings are those of `tests/references`; no framework is needed.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/parity.py
"""

from __future__ import annotations

from references.derivation import distance
from references.rebuild import build, read, recorded

import onnxcam


def main() -> None:
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


if __name__ == "__main__":
    main()
