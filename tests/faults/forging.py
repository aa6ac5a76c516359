"""Runs forgeries: a line in memory, a forger on it, and what the connector makes of that."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from dlms_connector.fleet.line import Line
from dlms_connector.protocol.client import make_client
from dlms_connector.simulator import Meter
from dlms_connector.simulator.encoding.data import enum, i8, structure, u32
from dlms_connector.simulator.objects.cosem_object import CosemObject, logical_name
from tests.faults.cells import PARTS
from tests.faults.forgeries import FORGERIES, Forgery, Heard
from tests.faults.forms import OBIS, Form, forms, make_device, make_meter
from tests.faults.victims import EPOCH, PERIOD_S
from tests.support import fake_time
from tests.support.fake_meter import RecordingSink
from tests.support.links import SimulatedLink

LOG = logging.getLogger("test.forging")
_HEADER = 8
_BASE = 300_000_000
_PATIENCE_S = 20 * PERIOD_S
_WINDOW_S = 35
#: So many polls suffer a forgery that the true reply follows.
_STRUCK = 2


@dataclass(frozen=True)
class Attempt:
    """A forgery in a form of ciphering."""

    forgery: Forgery
    form: Form

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.forgery.name} {self.form.name}"


@dataclass
class Outcome:
    """What became of it: the class of the error, "ok" if nothing was lost, and the lines told."""

    error: str = ""
    counted: int = 0
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def problems(attempt: Attempt, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome; one with any is red."""
    found = list(outcome.problems)
    beside, form = attempt.forgery.beside, attempt.form
    if not form.has_tag and attempt.forgery.name == "flip-counter":
        return (
            found  # what is deciphered with a wrong counter is noise, which may look like anything
        )
    refused = outcome.error in ("SecurityError", "RepeatedError")
    # Without a tag, what makes no sense may look like anything; it costs an association at most.
    if not refused and not (beside and (outcome.error == "ok" or not form.has_tag)):
        found.append(f"{outcome.error} is not what it is refused with")
    # A general APDU that cannot be read may be a push: its receiver refuses and tells it.
    elsewhere = beside and (form.is_general or not form.has_tag)
    if not outcome.counted and not elsewhere:
        found.append("it is not counted")
    if len(outcome.lines) != 1 and not (elsewhere and not outcome.lines):
        found.append(f"told in {len(outcome.lines)} lines: {outcome.lines}")
    return found


def attempts() -> list[Attempt]:
    """Return all forgeries, each in each form that it fits."""
    return [
        Attempt(forgery, form)
        for forgery in FORGERIES.values()
        for form in forms()
        if forgery.fits(form)
    ]


def part(number: int) -> list[Attempt]:
    """Return a part of them."""
    return [one for one in attempts() if crc32(one.name.encode()) % PARTS == number % PARTS]


class _Keeping(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


class _ForgedLink(SimulatedLink):
    """A link on which somebody meddles with what the meter says, while `forging`."""

    def __init__(self, meter: Meter, heard: Heard, forgery: Forgery) -> None:
        super().__init__(meter)
        self._heard, self._forgery = heard, forgery
        self.forging = False
        self.forged = 0

    def send(self, data: bytes) -> None:
        waiting = len(self._waiting)
        super().send(data)
        packet = self._waiting[waiting:]
        request, reply = data[_HEADER:], packet[_HEADER:]
        if not reply:
            return
        self._heard.note(request, reply)
        forge = self._forgery.forge
        if not self.forging or forge is None:
            return
        told = forge(self._heard, request, reply)
        if told is not None:
            self.forged += 1
            packets = (packet[:6] + len(one).to_bytes(2, "big") + one for one in told)
            self._waiting = self._waiting[:waiting] + b"".join(packets)


def run(attempt: Attempt, number: int, folder: Path, seed: int) -> Outcome:
    """Return what becomes of a forgery."""
    records: list[logging.LogRecord] = []
    handler = _Keeping(records)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        outcome = fake_time.run(_run(attempt, number, folder, seed))
    finally:
        LOG.removeHandler(handler)
    outcome.lines = [one.getMessage() for one in records if one.levelno >= logging.WARNING]
    return outcome


async def _run(attempt: Attempt, number: int, folder: Path, seed: int) -> Outcome:
    loop = asyncio.get_running_loop()
    form, forgery = attempt.form, attempt.forgery
    meter = make_meter(form, number, loop.time)
    obis = logical_name(OBIS)
    source: Any = lambda meter: u32(_BASE + int(loop.time()))  # noqa: E731
    meter._objects = {
        **meter.objects,
        (3, obis): CosemObject(3, obis, {2: source, 3: structure(i8(0), enum(30))}),
    }
    heard = Heard(form, meter, Random(f"{seed} {attempt.name}"))
    link = _ForgedLink(meter, heard, forgery)
    outcome, sink = Outcome(), RecordingSink()

    def make_line() -> Line:
        return Line(
            [make_device(form, number)],
            sink,
            LOG,
            link=link,
            open_link=lambda link: link.open(),
            make_client=make_client,
            now_ms=lambda: round((EPOCH + loop.time()) * 1000),
            state_dir=folder,
        )

    name = f"M{number}"

    def good() -> int:
        return len(sink.polls.get(name, ()))

    async def until(condition: Any) -> None:
        await asyncio.wait_for(sink.until(condition), _PATIENCE_S)

    line = make_line()
    running = asyncio.ensure_future(line.run())
    try:
        await until(lambda: good() >= 3)
        if forgery.restart:
            running.cancel()
            await asyncio.wait({running})
            await line.close()
            line = make_line()
            running = asyncio.ensure_future(line.run())
            sink.states.clear()
        link.forging = True
        if forgery.fault:
            meter.faults.set(forgery.fault)
        before = good()

        def struck() -> bool:
            return sink.state_names(name)[-1:] not in ([], ["online"]) or (
                good() >= before + _STRUCK
            )

        await until(struck)
        lost = sink.states[name][-1]
        outcome.error = type(lost[2]).__name__ if lost[2] else "ok"
        link.forging = False
        if forgery.forge is not None and not link.forged:
            outcome.problems.append("it was never sent")
        meter.faults.clear()
        ended, before = loop.time(), good()
        await until(lambda: good() > before)
        refused = outcome.error == "RefusedError"
        if loop.time() - ended > PERIOD_S * (2 if refused else 1):
            outcome.problems.append(f"back {loop.time() - ended:.0f} s after its end")
        outcome.counted = line.members[name].meter.statistics.forged
    except asyncio.TimeoutError:
        outcome.problems.append(f"it hangs: {sink.states}")
    finally:
        running.cancel()
        await asyncio.wait({running})
        await line.farewell()
        await line.close()
    for _, poll in sink.polls.get(name, ()):
        for one in poll.readings:
            held = Decimal(str(one.value)) - _BASE + EPOCH
            if not one.ts_ms / 1000 - _WINDOW_S <= held <= one.ts_ms / 1000 + 1:
                outcome.problems.append(f"a wrong value: {one}")
    return outcome
