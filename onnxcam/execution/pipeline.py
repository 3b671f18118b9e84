"""Work done on other threads, a little ahead of who asks for it, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    items: Iterable[Item], work: Callable[[Item], Result], threads: int, ahead: int
) -> Generator[Result, None, None]:
    """`map(work, items)` with `work` on other threads and no more than `ahead` items under way.

    `items` are taken on the caller's thread and one for each result, so they may be endless, and
    several of these may stand behind each other. What `work` raises is raised where its result
    would be, what `items` raises behind the results of those before. Whoever stops asking (an
    error, Ctrl-C, the generator's end of life) ends the threads; work under way is finished
    first, work that waits is not begun.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="onnxcam")
    under_way: deque[Future[Result]] = deque()
    failure: Exception | None = None
    try:
        while True:
            try:
                under_way.append(pool.submit(work, next(source)))
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            # One goes out for each that comes in, as soon as it is there: a live source is not
            # made to wait until there is enough to be ahead of.
            if under_way[0].done() or len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
