"""What `onnxcam explain` asks of every picture, and writes of it while the next are explained."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import onnxcam
from onnxcam.errors import OF_ONE_PICTURE, OnnxCamError
from onnxcam.execution import ordered
from onnxcam.explanation import Explanations
from onnxcam.files import Saver
from onnxcam.streaming import Outcome, workers
from onnxcam.targets.classes import together

Entries = list[dict[str, Any]]
Write = Callable[[], Entries]


@dataclass(frozen=True)
class Saved:
    """What was written, an entry of the JSON for each of the explanations, or why nothing was."""

    explanations: Explanations = field(default_factory=Explanations)
    entries: Entries = field(default_factory=list)
    error: OnnxCamError | None = None


class Job:
    """Each of the explainers explains each picture for each of the targets."""

    def __init__(
        self,
        explainers: Sequence[onnxcam.Explainer],
        targets: Sequence[str],
        top: int,
        batch: int | None,
    ) -> None:
        wanted = together([explainers[0].wanted(spec) for spec in targets])
        self._asked: list[tuple[onnxcam.Explainer, Any]] = [
            (explainer, target) for explainer in explainers for target in wanted or (None,)
        ]
        self._top, self._batch = top, batch

    @property
    def questions(self) -> int:
        """How many are asked of each picture."""
        return len(self._asked)

    def explained(self, images: Sequence[str]) -> Generator[Outcome, None, None]:
        """The answer to each question, picture by picture; empty behind an error of the same."""
        with ExitStack() as streams:
            answers = [
                streams.enter_context(
                    closing(explainer.stream_pictures(images, target, self._top, self._batch))
                )
                for explainer, target in self._asked
            ]
            for _ in images:
                failed = False
                for answer in answers:
                    outcome = next(answer)
                    yield Explanations() if failed else outcome
                    failed = failed or isinstance(outcome, OnnxCamError)

    def explained_together(self, images: Sequence[str]) -> Generator[Outcome, None, None]:
        """All answers about a picture as one."""
        with closing(self.explained(images)) as answers:
            for _ in images:
                about = [next(answers) for _ in self._asked]
                errors = [one for one in about if isinstance(one, OnnxCamError)]
                whole = Explanations(
                    one for found in about if not isinstance(found, OnnxCamError) for one in found
                )
                yield errors[0] if errors else whole


def saved(
    outcomes: Iterable[Outcome], named: Callable[[Explanations], Write]
) -> Generator[Saved, None, None]:
    """Outcomes as they are written, on other threads; what they are called is settled in order."""
    tasks = (
        (one, None if isinstance(one, OnnxCamError) or not one else named(one)) for one in outcomes
    )
    return ordered(tasks, _written, workers(), 2 * workers())


def each(saver: Saver) -> Callable[[Explanations], Write]:
    """Explanations written one by one."""

    def named(explanations: Explanations) -> Write:
        writes = [saver.named(one) for one in explanations]
        return lambda: [write() for write in writes]

    return named


def _written(task: tuple[Outcome, Write | None]) -> Saved:
    outcome, write = task
    if isinstance(outcome, OnnxCamError):
        return Saved(error=outcome)
    if write is None:
        return Saved()
    try:
        return Saved(outcome, write())
    except OF_ONE_PICTURE as error:
        return Saved(error=error)
