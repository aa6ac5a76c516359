"""Sessions and polls with simulated meters over real sockets, each with its own trouble."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import LinkError, RefusedError
from dlms_connector.link import make_link
from dlms_connector.link.tcp import TcpLink
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import wanted
from dlms_connector.protocol.datalink.hdlc_frame import DISC, DM, Frame
from dlms_connector.simulator import Endpoint, MeterOptions, simulate
from dlms_connector.state.counters import counter_of
from tests.support.polled import LOG, meter_on

CODES = ("1-0:1.8.0", "1-0:32.7.0", "1-0:31.7.0", "1-0:14.7.0", "1-0:1.7.0")
CIPHERED: dict[str, Any] = {
    "clientAddress": 1,
    "authentication": "HIGH_GMAC",
    "security": "AUTHENTICATION_ENCRYPTION",
    "systemTitle": "4142430000000001",
    "authenticationKey": "hex:D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
    "blockCipherKey": "hex:000102030405060708090A0B0C0D0E0F",
    "invocationCounter": "0-0:43.1.0",
}


def options(**more: Any) -> MeterOptions:
    return MeterOptions(hold_at=1_790_000_000, **more)


@asynccontextmanager
async def meter_of(
    simulated: MeterOptions, state_dir: Path | None = None, **dlms: Any
) -> AsyncIterator[tuple[Meter, Endpoint]]:
    async with simulate([simulated]) as (server,):
        yield make_meter(server, state_dir, **dlms), server


def make_meter(
    server: Endpoint, state_dir: Path | None = None, *, link_type: str = "tcp", **dlms: Any
) -> Meter:
    device = Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {
                "type": link_type, "host": "127.0.0.1", "port": server.port,
                "timeoutMs": 150, "retries": 2,
            },
            "dlms": dlms,
            "timeseries": [{"key": code, "obis": code} for code in CODES],
        }
    )  # fmt: skip
    link = make_link(device.connection)
    return meter_on(device, link, counter=counter_of(device, state_dir))


async def poll(meter: Meter) -> Outcome:
    return await meter.poll(wanted(meter.device))


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


def good(outcome: Outcome) -> bool:
    return not outcome.error and not outcome.poll.failures and len(outcome.poll.readings) == 5


FAULTS = (
    "one-byte-fragments", "refuse-list", "malformed-list", "short-list",
    "exception-to-release", "close-after-release", "delay=0.02", "push-while-asked", "llc-twice",
    "aare-length=1", "aare-surplus=2", "short-initiate=2", "short-initiate=3",
)  # fmt: skip


@pytest.mark.parametrize(
    ("framing", "fault"),
    [("HDLC", "echo"), ("HDLC", "keeps-association"), *product(("HDLC", "WRAPPER"), FAULTS)],
)
async def test_trouble_that_costs_no_value(framing: Any, fault: str) -> None:
    async with meter_of(options(framing=framing, faults=[fault]), interfaceType=framing) as (
        meter,
        _,
    ):
        for _turn in range(2):
            assert good(await poll(meter))
            await meter.session.release()
        await meter.session.hang_up()


@pytest.mark.parametrize(
    "fault", ["garbage=20", "flags=500", "lose=3", "foreign-frames", "bad-fcs=3", "dm-at=2"]
)
async def test_noise_on_the_line_costs_no_value(fault: str) -> None:
    async with meter_of(options(faults=[fault])) as (meter, _):
        outcome = await poll(meter)
        assert good(outcome), (outcome.error, outcome.poll.failures)
        assert good(await poll(meter))
        await meter.session.release()
        await meter.session.hang_up()


@pytest.mark.parametrize("dlms", [{}, CIPHERED], ids=["plain", "ciphered"])
async def test_lost_datagrams_cost_no_value(dlms: dict[str, Any], tmp_path: Path) -> None:
    """Every seventh answer is lost: one or two of those to reading one by one."""
    simulated = options(framing="WRAPPER", faults=["lose=7", "refuse-list"])
    if dlms:
        simulated = replace(
            simulated,
            client_address=1,
            authentication="HIGH_GMAC",
            security="AUTHENTICATION_ENCRYPTION",
        )
    async with simulate([simulated], udp=True) as (server,):
        meter = make_meter(server, tmp_path, link_type="udp", interfaceType="WRAPPER", **dlms)
        outcome = await poll(meter)
        assert good(outcome), (outcome.error, outcome.poll.failures)
        assert meter.statistics.reconnects == 0
        await meter.session.hang_up()


@pytest.mark.parametrize(
    "fault",
    ["silence", "exception", "truncate", "refuse-association",
     "drop-after=10"],
)  # fmt: skip
async def test_trouble_without_end_ends(fault: str) -> None:
    async with meter_of(options(faults=[fault])) as (meter, _):
        outcome = await asyncio.wait_for(poll(meter), 10)
        assert outcome.poll.readings == ()
        assert outcome.error or len(outcome.poll.failures) == 5
        await meter.session.hang_up()


async def test_a_session_left_behind_by_a_crash_is_ended_first() -> None:
    async with simulate([options(faults=["keeps-association"])]) as (server,):
        crashed = make_meter(server)
        assert good(await poll(crashed))
        # The process dies: no goodbye, but the converter keeps the line to the meter.
        meter = make_meter(server)
        assert good(await poll(meter))
        for one in (crashed, meter):
            await one.session.hang_up()


@pytest.mark.parametrize("answers", [False, True])
async def test_a_meter_that_hangs_up_at_an_unexpected_disc(answers: bool) -> None:
    async with simulate([options()]) as (server,):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.readuntil(b"\x7e") + await reader.readuntil(b"\x7e")
            if first[6] == DISC:
                if answers:
                    writer.write(Frame(b"\x21", b"\x02\x03", DM).encode())
            else:
                inner, out = await asyncio.open_connection("127.0.0.1", server.port)
                out.write(first)
                back = asyncio.create_task(carry(inner, writer))
                await carry(reader, out)
                await back
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1") as front:
            port = front.sockets[0].getsockname()[1]
            meter = make_meter(Endpoint((), "127.0.0.1", port))
            assert good(await poll(meter))
            await meter.session.hang_up()


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_what_a_modem_says_between_polls_costs_no_association(framing: Any) -> None:
    async with meter_of(options(framing=framing), interfaceType=framing) as (meter, _):
        for _turn in range(3):
            assert good(await poll(meter))
            assert isinstance(meter.session._link, TcpLink)
            assert meter.session._link._stream
            meter.session._link._stream.data_received(b"heartbeat\r\n")
        assert meter.statistics.reconnects == 0
        await meter.session.release()
        await meter.session.hang_up()


async def test_a_meter_that_comes_back_is_polled_again() -> None:
    async with meter_of(options()) as (meter, server):
        assert good(await poll(meter))
        await server.stop()
        outcome = await poll(meter)
        assert isinstance(outcome.error, LinkError)
        await server.start()
        assert good(await poll(meter))
        assert meter.statistics.reconnects == 1
        await meter.session.release()
        await meter.session.hang_up()


async def test_bytes_and_retries_are_counted() -> None:
    async with meter_of(options(faults=["lose=3"])) as (meter, _):
        assert good(await poll(meter))
        assert meter.statistics.retries >= 1
        assert meter.statistics.bytes_in > 150
        assert meter.statistics.bytes_out > 200
        await meter.session.hang_up()


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_the_invocation_counter_is_read_before_the_first_ciphered_association(
    framing: Any, tmp_path: Path
) -> None:
    simulated = options(
        framing=framing,
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        invocation_counter=5000,
    )
    async with simulate([simulated]) as (server,):
        for _ in range(2):
            meter = make_meter(server, tmp_path, **CIPHERED, interfaceType=framing)
            outcome = await poll(meter)
            assert good(outcome), (outcome.error, outcome.poll.failures)
            await meter.session.release()
            await meter.session.hang_up()
        # Somebody else used the key meanwhile: read anew, once, and at once.
        server.meter.received_counter = 90_000
        outcome = await poll(meter)
        assert good(outcome), outcome.error
        await meter.session.hang_up()


async def test_a_wrong_key_is_a_refusal_not_a_loop() -> None:
    simulated = options(
        client_address=1, authentication="HIGH_GMAC", security="AUTHENTICATION_ENCRYPTION"
    )
    wrong: dict[str, Any] = CIPHERED | {"authenticationKey": "hex:" + 16 * "11"}
    async with meter_of(simulated, **wrong) as (meter, _):
        outcome = await asyncio.wait_for(poll(meter), 10)
        assert outcome.error
        assert isinstance(outcome.error, RefusedError | LinkError)
        await meter.session.hang_up()


async def test_the_drift_of_a_clock_that_is_read_is_told() -> None:
    simulated = MeterOptions(now=lambda: 1_790_000_007.0, utc_offset_minutes=120)
    async with simulate([simulated]) as (server,):
        meter = make_meter(server)
        clock = {"key": "clock", "obis": "0-0:1.0.0", "class": "clock"}
        read = Device.model_validate({
            "deviceName": "M1",
            "connection": {"host": "127.0.0.1", "port": server.port},
            "timeseries": [clock],
        })  # fmt: skip
        outcome = await meter.poll(wanted(read))
        assert not outcome.poll.failures
        assert meter.statistics.telemetry()["dlmsClockDriftSeconds"] == 7
        await meter.session.release()
        await meter.session.hang_up()


async def test_a_lost_answer_is_asked_for_again_under_ciphering(tmp_path: Path) -> None:
    """With another invocation counter: the same octets would be a replay."""
    keys = {
        **CIPHERED,
        "interfaceType": "WRAPPER",
        "authentication": "NONE",
        "systemTitle": "434C490000000001",
        "invocationCounter": None,
    }
    losing = options(
        framing="WRAPPER",
        client_address=1,
        security="AUTHENTICATION_ENCRYPTION",
        faults={"lose": 2},
    )
    async with meter_of(losing, tmp_path, **keys) as (meter, server):
        outcome = await poll(meter)
        assert good(outcome)
        assert server.meter.seen["aarq"] == 1
        assert meter.statistics.retries >= 1


@pytest.mark.parametrize("dlms", [{}, {**CIPHERED, "generalCiphering": True}], ids=["plain", "glo"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_what_a_meter_says_unasked_is_counted_and_costs_nothing(
    framing: Any, dlms: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulated = options(framing=framing, faults=["push-while-asked"])
    if dlms:
        simulated = replace(
            simulated,
            client_address=1,
            authentication="HIGH_GMAC",
            security="AUTHENTICATION_ENCRYPTION",
        )
    caplog.set_level(logging.DEBUG, LOG.name)
    async with meter_of(simulated, tmp_path, interfaceType=framing, **dlms) as (meter, _):
        for _turn in range(2):
            assert good(await poll(meter))
            await meter.session.release()
        heard = meter.statistics.unasked
        assert heard > 4
        assert meter.statistics.telemetry()["dlmsUnasked"] == heard
        assert meter.statistics.reconnects == meter.statistics.retries == 0
        assert caplog.text.count("unasked (tag") == heard
        await meter.session.hang_up()


async def test_a_quirk_is_told_once_for_each_meter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG.name)
    crooked = options(faults=["llc-twice", "aare-length=1"])
    async with meter_of(crooked) as (meter, _):
        for _turn in range(3):
            assert good(await poll(meter))
            await meter.session.release()
        await meter.session.hang_up()
    assert len(caplog.messages) == 2
    assert all(message.startswith("M1: ") for message in caplog.messages)


@pytest.mark.parametrize("asked", ["LN", "SN"])
async def test_an_association_of_the_other_referencing_names_the_key(asked: Any) -> None:
    simulated = options(referencing=asked, faults=["other-context"])
    async with meter_of(simulated, referencing=asked) as (meter, _):
        outcome = await poll(meter)
        assert outcome.error is not None
        assert "dlms.referencing" in outcome.error.hint
        await meter.session.hang_up()
