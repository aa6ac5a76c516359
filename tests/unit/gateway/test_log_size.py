"""Nothing that is logged outgrows what the gateway's remote logging can send."""

import logging

import pytest

from dlms_connector.gateway.log_size import LONGEST_MESSAGE, LONGEST_TRACEBACK, shorten


@pytest.fixture
def log() -> logging.Logger:
    log = logging.getLogger("log size")
    log.addFilter(shorten)
    return log


def test_a_long_message_is_cut(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    log.error("%s: %d", "x" * 100_000, 7)
    log.error("%s: %d", "x", 7)
    long, short = caplog.messages
    assert len(long) == LONGEST_MESSAGE
    assert long.endswith("x…")
    assert short == "x: 7"


def test_a_long_traceback_keeps_its_end(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("short", "x" * 10_000 + " and its end"):
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("it failed")
    short, long = (logging.Formatter().format(record) for record in caplog.records)
    assert short.startswith("it failed\nTraceback")
    assert short.endswith("ValueError: short")
    assert len(long) <= len("it failed\n") + LONGEST_TRACEBACK
    assert long.endswith("x and its end")
