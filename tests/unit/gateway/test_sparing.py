"""Warnings that come in floods."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from dlms_connector.gateway.sparing import Sparing


def test_the_first_is_told_and_the_others_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    timers: list[Callable[[], None]] = []
    sparing = Sparing(logging.getLogger("x"), "odd", lambda seconds, job: timers.append(job))

    def period(*details: str) -> list[str]:
        """Warn, let the period end, and return what was logged."""
        caplog.clear()
        for detail in details:
            sparing.warn(detail)
        due, timers[:] = [*timers], []
        for job in due:
            job()
        return [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]

    assert period("a") == ["odd: a"]
    assert period("b", "c", "d") == ["odd: b", "odd: 2 more of this kind since"]
    assert period("e", "f") == ["odd: 2 more of this kind since"], "the flood goes on"
    assert period() == []
    assert period("g") == ["odd: g"]
    sparing.tell()
    assert len(timers) == 0
