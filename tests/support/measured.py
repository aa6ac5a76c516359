"""Tests that measure time, on a machine that has other things to do as well."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

#: What is wrong with the product is wrong each time; another process that takes the CPU for a
#: second hardly comes each time just then.
ATTEMPTS = 4


def measured(test: T) -> T:
    """Let a test that measures time fail only if it does so each time it is tried.

    Each attempt has a `tmp_path` of its own; other fixtures stay the same.
    """
    made: Any

    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def made(**fixtures: Any) -> None:
            failed: list[AssertionError] = []
            for attempt in _attempts(failed):
                with attempt:
                    await test(**_with_own_folder(fixtures, len(failed)))

    else:

        @functools.wraps(test)
        def made(**fixtures: Any) -> None:
            failed: list[AssertionError] = []
            for attempt in _attempts(failed):
                with attempt:
                    test(**_with_own_folder(fixtures, len(failed)))

    return made  # type: ignore[no-any-return]


def _attempts(failed: list[AssertionError]) -> Iterator[AbstractContextManager[None]]:
    """Yield attempts until one does not fail; the last one may raise."""
    for number in range(ATTEMPTS):
        yield _attempt(failed)
        if len(failed) == number:
            return


@contextmanager
def _attempt(failed: list[AssertionError]) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        failed.append(error)
        if len(failed) == ATTEMPTS:
            raise
        print(f"attempt {len(failed)}: {error}")


def _with_own_folder(fixtures: dict[str, Any], failed: int) -> dict[str, Any]:
    if "tmp_path" not in fixtures:
        return fixtures
    folder = fixtures["tmp_path"] / f"attempt-{failed + 1}"
    folder.mkdir()
    return {**fixtures, "tmp_path": folder}
