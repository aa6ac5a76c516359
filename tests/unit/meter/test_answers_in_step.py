"""Forms without any number: an answer too many is noticed, also behind the last question."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import wanted
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client, get_one
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Meter, MeterOptions
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on

NOW = 1_790_000_000
SHORT: dict[str, Any] = {"dlms": {"referencing": "SN"}}
FIXED: dict[str, Any] = {"dlms": {}, "workarounds": {"fixedInvokeId": 1}}
UI: dict[str, Any] = {**SHORT, "workarounds": {"connectionless": True}}
UNCOUNTED: dict[str, Any] = {**SHORT, "workarounds": {"uncountedFrames": True}}
FORMS = pytest.mark.parametrize(
    ("framing", "form"),
    [("WRAPPER", SHORT), ("WRAPPER", FIXED), ("HDLC", UI), ("HDLC", UNCOUNTED)],
    ids=["short names", "fixed invoke-id", "UI frames", "uncounted frames"],
)
#: Objects whose values have one type and differ, so that only their order tells answers apart.
OBJECTS = ("1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0")


#: Those that are read before and after them.
TEXTS = ("0-0:96.1.0", "0-0:42.0.0")

#: When an answer comes a second time: with the first one, with that to the next question, or in
#: place of it, which then comes with the answer after it.
AT_ONCE, BEFORE_THE_NEXT, FOR_THE_NEXT = range(3)

#: The association's logical name in a request: by short name, and by logical name.
FENCES = (b"\x05\x01\x02\xfa\x00", b"\x00\x0f\x00\x00\x28\x00\x00\xff\x01")


class LateLink(SimulatedLink):
    """From one sending of a connection on, each answer is that to the sending before."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.late_from: int | None = None
        #: The sending whose answer comes twice, and when the second one comes.
        self.doubled_at, self.how = 0, AT_ONCE
        self.drops_fence = False
        self._kept = b""

    async def open(self) -> None:
        self._kept = b""
        await super().open()

    def send(self, data: bytes) -> None:
        before = self._waiting
        super().send(data)
        fresh = self._waiting[len(before) :]
        if self.late_from is not None and self.sent >= self.late_from and self.opened == 1:
            self._waiting = before + self._kept
        if self.doubled_at and self.opened == 1:
            self._double(before, fresh)
        if self.drops_fence and (
            b"\x05\x01\x02\xfa\x00" in data or b"\x00\x0f\x00\x00\x28" in data
        ):
            self._waiting = b""
        self._kept = fresh

    def _double(self, before: bytes, fresh: bytes) -> None:
        after = self.sent - self.doubled_at
        if after == 0 and self.how == AT_ONCE:
            self._waiting += fresh
        elif after == 1 and self.how == BEFORE_THE_NEXT:
            self._waiting = before + self._kept + fresh
        elif after == 1 and self.how == FOR_THE_NEXT:
            self._waiting = before + self._kept
        elif after == 2 and self.how == FOR_THE_NEXT:
            self._waiting = before + self._kept + fresh


class Bench:
    def __init__(self, framing: Any, form: dict[str, Any]) -> None:
        faults = ["wants-ui"] if form is UI else []
        referencing = form["dlms"].get("referencing", "LN")
        simulated = Meter(
            MeterOptions(framing=framing, referencing=referencing, hold_at=NOW, faults=faults)
        )
        self.link = LateLink(simulated)
        self.device = Device.model_validate(
            {
                "deviceName": "M1",
                "connection": {"host": "h", "timeoutMs": 1000, "retries": 2},
                **form,
                "dlms": {"interfaceType": framing, **form["dlms"]},
                "workarounds": {"singleReads": True, **form.get("workarounds", {})},
                "attributes": [{"key": TEXTS[0], "obis": TEXTS[0], "class": "data"}],
                "timeseries": [
                    *({"key": code, "obis": code} for code in OBJECTS),
                    {"key": TEXTS[1], "obis": TEXTS[1], "class": "data"},
                ],
            }
        )
        self.meter = meter_on(self.device, self.link, now_ms=lambda: NOW * 1000)

    async def poll(self) -> Outcome:
        return await self.meter.poll(wanted(self.device))


def values(outcome: Outcome) -> dict[str, Any]:
    return {reading.key: reading.value for reading in outcome.poll.readings}


@pytest.mark.parametrize("first", [2, 3, 4, 5])
@FORMS
def test_a_late_answer_to_the_last_questions_of_a_poll_is_not_taken(
    framing: Any, form: dict[str, Any], first: int
) -> None:
    async def test() -> None:
        bench = Bench(framing, form)
        right = values(await bench.poll())
        assert len(set(right.values())) == len(TEXTS + OBJECTS)
        # Now only values are read, and from one on they are answered as the one before.
        bench.link.late_from = bench.link.sent + first
        assert values(await bench.poll()) == right
        opened = bench.link.opened
        assert opened > 1
        assert not bench.meter.learned.deaths  # no object is the cause
        assert values(await bench.poll()) == right
        assert bench.link.opened == opened
        await bench.meter.session.release()

    fake_time.run(test())


@pytest.mark.parametrize("how", [AT_ONCE, BEFORE_THE_NEXT, FOR_THE_NEXT])
@pytest.mark.parametrize("which", [1, 2, 3, 4, 5])
@FORMS
def test_an_answer_that_comes_twice_is_not_taken_for_that_to_the_next_question(
    framing: Any, form: dict[str, Any], which: int, how: int
) -> None:
    async def test() -> None:
        bench = Bench(framing, form)
        right = values(await bench.poll())
        bench.link.doubled_at, bench.link.how = bench.link.sent + which, how
        assert values(await bench.poll()) == right
        assert values(await bench.poll()) == right
        await bench.meter.session.release()

    fake_time.run(test())


@FORMS
def test_a_late_answer_to_the_last_question_of_a_call_is_not_taken(
    framing: Any, form: dict[str, Any]
) -> None:
    refs = [AttributeRef(3, Obis.parse(code), 2) for code in OBJECTS[1:]]

    def job(client: Client) -> Talk[list[Data]]:
        found = []
        for ref in refs:
            found.append((yield from get_one(client, ref)))
        return found

    async def test() -> None:
        bench = Bench(framing, form)
        await bench.poll()
        right = await bench.meter.run(job, timeout_s=10)
        bench.link.late_from = bench.link.sent + len(refs)
        assert await bench.meter.run(job, timeout_s=10) == right
        assert bench.link.opened > 1
        await bench.meter.session.release()

    fake_time.run(test())


@FORMS
def test_a_meter_that_does_not_answer_the_question_is_not_asked_again(
    framing: Any, form: dict[str, Any]
) -> None:
    async def test() -> None:
        bench = Bench(framing, form)
        bench.link.drops_fence = True
        right = values(await bench.poll())
        assert len(right) == len(TEXTS + OBJECTS)
        opened = 0
        for _ in range(3):
            outcome = await bench.poll()
            assert values(outcome) == right
            assert not outcome.error
            opened = opened or bench.link.opened
        assert bench.link.opened == opened  # silence has cost one association
        await bench.meter.session.release()

    fake_time.run(test())


def test_an_answer_that_comes_between_polls_ends_the_association() -> None:
    async def test() -> None:
        bench = Bench("WRAPPER", SHORT)
        right = values(await bench.poll())
        bench.link._waiting = bench.link._kept
        assert values(await bench.poll()) == right
        assert bench.link.opened == 2
        await bench.meter.session.release()

    fake_time.run(test())
