"""Record what pytorch-grad-cam and torchcam say about four networks and a small one.

From scripts/: python -m references.record_methods [STUDY ...]

Environment: that of `references.record torch`, with
pip install grad-cam==1.5.7 torchcam==0.5.0

What the same versions said of the same pictures before is kept; delete `methods.json` to ask anew.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch.nn.attention import SDPBackend, sdpa_kernel

from .cam_libraries import GRAD_CAM, TORCHCAM, Question
from .derivation import choose_classes, nudges
from .from_torch import NETWORKS, environment
from .inputs import Cuts, Drawn
from .method_maps import MethodMaps, Recorded, away, conditioning, read_maps, studies, write_maps
from .method_plans import PICTURES, STUDIES, Job, Plan, Study
from .rebuild import RECORDINGS, read
from .torch_source import TorchSource

QUICK = 5.0
"""Seconds below which nudged pictures are asked about as well."""

TRIES = 300
"""Classes looked at, best first: maps of a few places seldom leave something to see."""


def main() -> None:
    """Record the named studies, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="*", default=list(STUDIES))
    for name in parser.parse_args().study:
        started = time.perf_counter()
        with sdpa_kernel(SDPBackend.MATH):  # the only one with a second derivative
            maps = record(name)
        size = (RECORDINGS / name / "methods.npz").stat().st_size
        left = ", ".join(f"{key} {value:.0e}" for key, value in maps.left_out.items())
        seconds = time.perf_counter() - started
        print(f"{name}: {len(maps.recorded)} maps, {size / 1000:.0f} kB, {seconds:.0f} s")
        print(f"  left out: {left or 'none'}", flush=True)


def record(name: str) -> MethodMaps:
    """Ask the libraries what is not yet known of a study, and write it down answer by answer."""
    study = STUDIES[name]
    source = NETWORKS[study.network]()
    assert isinstance(source, TorchSource)
    pictures = batch(study)
    versions = environment() | dict(said.split() for said in (GRAD_CAM, TORCHCAM))
    before = earlier(name, pictures, versions)
    x = pictures.values()
    classes = before.classes if before else choose_classes(source, x, TRIES)
    maps = MethodMaps(name, study.network, pictures, classes, versions, [], {}, {})
    if before:
        keep(maps, before, [job.at(plan.layers) for plan in study.plans for job in plan.jobs])
    for plan in study.plans:
        asker = Asker(source, plan, x, classes)
        for job in plan.jobs:
            asked = job.at(plan.layers)
            if asked.key in maps.arrays or asked.key in maps.left_out:
                continue
            found, one = asker.measured(job, asked)
            print(f"  {one.key}: drift {one.drift:.0e}, {one.seconds:.1f} s", flush=True)
            if one.drift > conditioning(one.method):
                maps.left_out[one.key] = one.drift
            else:
                maps.add(one, found)
            write_maps(maps)
    write_maps(maps)
    return maps


def keep(maps: MethodMaps, before: MethodMaps, wanted: Sequence[Recorded]) -> None:
    """Take over what was recorded before and is still wanted."""
    for asked in wanted:
        known = before.entry(asked)
        if known:
            maps.add(known, before.arrays[known.key])
        elif asked.key in before.left_out:
            maps.left_out[asked.key] = before.left_out[asked.key]


def earlier(name: str, pictures: Drawn | Cuts, versions: dict[str, str]) -> MethodMaps | None:
    """What was recorded of the same pictures by the same versions."""
    if name not in studies():
        return None
    maps = read_maps(name)
    return maps if (maps.input, maps.environment) == (pictures, versions) else None


def batch(study: Study) -> Drawn | Cuts:
    """Pictures like the ones the network's Grad-CAM was recorded for, but three of them."""
    own = read(study.network).input
    assert isinstance(own, Drawn | Cuts)
    shape = (PICTURES, own.shape[1], *([study.side] * 2 if study.side else own.shape[2:]))
    if isinstance(own, Drawn):
        return Drawn(study.pictures or f"{study.network} methods", shape, own.axes)
    return replace(own, shape=shape)


@dataclass(frozen=True)
class Asker:
    """Asks the same in double precision, in float32, and of pictures off by a rounding error."""

    source: TorchSource
    plan: Plan
    x: np.ndarray
    classes: Sequence[int]

    @cached_property
    def _questions(self) -> dict[int, list[Question]]:
        return {}

    def questions(self, pictures: int) -> list[Question]:
        """The exact question and the others, about the first pictures."""
        if pictures not in self._questions:
            x = self.x[:pictures]
            nudged = [off[:pictures] for off in nudges(self.x)]
            self._questions[pictures] = [
                Question.of(
                    self.source.module, self.plan.layers, self.plan.axes, x, self.classes, dtype
                )
                for x, dtype in (
                    (x, "float64"),
                    (x, "float32"),
                    *((off, "float64") for off in nudged),
                )
            ]
        return self._questions[pictures]

    def measured(self, job: Job, asked: Recorded) -> tuple[np.ndarray, Recorded]:
        """A method's maps in double precision, and how much float32 and a nudge move them."""
        exact, *others = self.questions(job.pictures)
        wanted = answer(job, exact)
        started = time.perf_counter()
        moves = [moved(job.form, answer(job, others[0]), wanted)]
        seconds = time.perf_counter() - started
        if seconds < QUICK:
            moves += [moved(job.form, answer(job, other), wanted) for other in others[1:]]
        drift = float(f"{max(moves):.1e}")
        return wanted, replace(asked, drift=drift, seconds=round(seconds, 1))


def answer(job: Job, question: Question) -> np.ndarray:
    """What a library says, thinned out as it is kept."""
    return job.ask(question)[:, :: job.stride, :: job.stride]


def moved(form: str, other: np.ndarray, exact: np.ndarray) -> float:
    """How far two maps of the library are apart."""
    return away(form, np.maximum(other, 0) if form == "positive" else other, exact)


if __name__ == "__main__":
    main()
