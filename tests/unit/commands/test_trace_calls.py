"""`traceFrames`: a trace per meter, its files, its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.request import Arguments
from dlms_connector.commands.trace_calls import Traces
from dlms_connector.commands.work import Local
from dlms_connector.config import load
from dlms_connector.errors import CommandError
from tests.support.commands import MetersInMemory

LOG = logging.getLogger("test.traces")


class Context:
    """The part of a context that the call needs."""

    def __init__(self, device: Any) -> None:
        self.device = device


@pytest.fixture
def meters() -> Iterator[MetersInMemory]:
    made = MetersInMemory()
    yield made
    for name in list(made.taps):
        made.trace(name, None)


@pytest.fixture
def context() -> Any:
    loaded = load({"devices": [{
        "deviceName": "House 1/A", "connection": {"host": "127.0.0.1"},
        "timeseries": [{"key": "e", "obis": "1-0:1.8.0"}],
    }]}, base=Path())  # fmt: skip
    return Context(loaded.configuration.devices[0])


async def call(traces: Traces, context: Any, params: dict[str, Any]) -> Any:
    arguments = Arguments.read("traceFrames", params)
    work = traces.methods()["traceFrames"].build(context, arguments)
    assert isinstance(work, Local)
    return await work.run()


async def test_a_trace_begins_tells_its_files_and_ends(tmp_path: Path, context: Any) -> None:
    meters = MetersInMemory()
    traces = Traces(meters, tmp_path, LOG)
    result = await call(traces, context, {"minutes": 2})
    text, capture = map(Path, result["files"])
    assert {text.suffix, capture.suffix} == {".txt", ".pcapng"}
    assert text.parent == tmp_path / "traces"
    assert text.stat().st_mode & 0o777 == 0o600
    meters.taps["House 1/A"].sent(b"\x7e\xa0\x08\x02\x03\x21\x93\x86\x67\x7e")
    with pytest.raises(CommandError, match="is running"):
        await call(traces, context, {})
    assert await call(traces, context, {"minutes": 0}) == "the trace has ended"
    assert not meters.taps
    assert "HDLC SNRM" in text.read_text()
    with pytest.raises(CommandError, match="no trace"):
        await call(traces, context, {"minutes": 0})


async def test_minutes_are_bounded(tmp_path: Path, context: Any) -> None:
    with pytest.raises(CommandError, match="60"):
        await call(Traces(MetersInMemory(), tmp_path, LOG), context, {"minutes": 61})


async def test_without_a_folder_there_is_none(context: Any) -> None:
    with pytest.raises(CommandError, match="no folder"):
        await call(Traces(MetersInMemory(), None, LOG), context, {})


async def test_few_traces_are_kept(tmp_path: Path, context: Any) -> None:
    traces = Traces(MetersInMemory(), tmp_path, LOG)
    (tmp_path / "traces").mkdir()
    for number in range(30):
        (tmp_path / "traces" / f"{number:013d}-old.txt").touch()
        (tmp_path / "traces" / f"{number:013d}-old.pcapng").touch()
    await call(traces, context, {})
    await call(traces, context, {"minutes": 0})
    await asyncio.sleep(0)
    assert len(list((tmp_path / "traces").glob("*.txt"))) == 20


def traced(name: str, **trace: Any) -> Any:
    loaded = load({"devices": [{
        "deviceName": name, "connection": {"host": "127.0.0.1"}, "trace": trace,
        "timeseries": [{"key": "e", "obis": "1-0:1.8.0"}],
    }]}, base=Path())  # fmt: skip
    assert loaded.every_problem == ()
    return loaded.configuration.devices[0]


def moment(minutes: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(minutes=minutes)).isoformat()


async def test_the_configuration_begins_traces_that_have_not_ended(
    tmp_path: Path, meters: MetersInMemory
) -> None:
    traces = Traces(meters, tmp_path, LOG)
    traces.configured(
        [
            traced("Now", minutes=5),
            traced("Until", until=moment(60)),
            traced("Past", until=moment(-1)),
        ]
    )
    assert set(meters.taps) == {"Now", "Until"}
    assert len(list((tmp_path / "traces").iterdir())) == 4
    assert await call(traces, Context(traced("Now", minutes=5)), {"minutes": 0})
    assert set(meters.taps) == {"Until"}


async def test_a_configured_trace_ends_at_its_size(tmp_path: Path, meters: MetersInMemory) -> None:
    Traces(meters, tmp_path, LOG).configured([traced("Now", minutes=5, megabytes=1)])
    tap = meters.taps["Now"]
    for _ in range(200):
        tap.received(bytes.fromhex("0001 0001 0010 2000 0F") + bytes(0x1FFF))
    written = sum(path.stat().st_size for path in (tmp_path / "traces").iterdir())
    assert 1_000_000 <= written < 1_200_000


async def test_no_more_are_traced_than_files_are_kept(
    tmp_path: Path, meters: MetersInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    Traces(meters, tmp_path, LOG).configured([traced(f"M{n}", minutes=5) for n in range(25)])
    assert len(meters.taps) == 20
    assert "25 devices have `trace`" in caplog.text


async def test_a_configured_trace_without_a_folder_is_told_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    meters = MetersInMemory()
    Traces(meters, None, LOG).configured([traced("Now", minutes=5)])
    assert meters.taps == {}
    assert "Now: its frames are not traced: there is no folder" in caplog.text


@pytest.mark.parametrize(
    ("trace", "problem"),
    [
        ({}, "either `until` or `minutes`"),
        ({"minutes": 5, "until": "2026-12-01T12:00:00Z"}, "either `until` or `minutes`"),
        ({"until": "tomorrow"}, "is not a moment such as"),
        ({"until": "2026-12-01T12:00:00"}, "is not a moment such as"),
        ({"minutes": 0}, "1"),
        ({"minutes": 5, "secrets": True}, "secrets"),
    ],
)
def test_a_trace_has_one_end(trace: dict[str, Any], problem: str) -> None:
    loaded = load({"devices": [{
        "deviceName": "M", "connection": {"host": "127.0.0.1"}, "trace": trace,
    }]}, base=Path())  # fmt: skip
    assert problem in " ".join(loaded.every_problem)


async def test_traces_follow_the_configuration(
    tmp_path: Path, meters: MetersInMemory, context: Any
) -> None:
    """A device that is as before is traced on; others as they are configured now."""
    traces = Traces(meters, tmp_path, LOG)
    same, changed, gone = (traced(name, minutes=5) for name in ("Same", "Changed", "Gone"))
    traces.configured([same, changed, gone])
    await call(traces, context, {})
    taps = dict(meters.taps)
    meters.taps.pop("Gone").close()  # as the fleet does
    again, new = traced("Changed", minutes=7), traced("New", minutes=5)
    devices = {one.device_name: one for one in (same, again, new, context.device)}
    traces.serve(devices, [again, new])
    assert set(meters.taps) == {"Same", "Changed", "New", "House 1/A"}
    assert meters.taps["Same"] is taps["Same"]
    assert meters.taps["Changed"] is not taps["Changed"]
    plain = context.device.model_copy(update={"device_name": "Same"})
    traces.serve({"Same": plain}, [plain])
    assert "Same" not in meters.taps
    with pytest.raises(CommandError, match="no trace"):
        await call(traces, Context(plain), {"minutes": 0})
