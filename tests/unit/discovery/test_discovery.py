"""Discovery against simulated meters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.loading import load
from dlms_connector.discovery import Discovery, Pace, Request, Server, Wanted, discover
from dlms_connector.errors import ConfigError, ConnectError
from dlms_connector.simulator import AccessError, Endpoint, MeterOptions, microstar, simulate
from dlms_connector.simulator.encoding.data import array, octets, structure, u16
from dlms_connector.simulator.objects import Role
from tests.support.peers import free_port

FAST = Pace(timeout_s=0.04, per_second=1000, settle_s=0.01, reopen_s=0)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_RIGHT", "12345678")
    monkeypatch.setenv("DLMS_WRONG", "87654321")
    monkeypatch.setenv("DLMS_MICROSTAR", "2222222222")


def low(variable: str) -> Mapping[str, Any]:
    return {"authentication": "LOW", "password": f"${{env:{variable}}}"}


async def look(server: Endpoint, pace: Pace = FAST, **known: Any) -> Discovery:
    """Discover the meter of an endpoint."""
    credentials = known.pop("credentials", {})
    section = {"host": "127.0.0.1", "port": server.port}
    return await discover(
        Request(connection=section, wanted=Wanted(**known), pace=pace, credentials=credentials)
    )


def keys(found: Discovery, section: str = "timeseries") -> list[str]:
    assert found.entry is not None
    return [item["key"] for item in found.entry.get(section, ())]


@pytest.mark.parametrize(
    ("logical", "physical", "known", "reached"),
    [
        (1, 1, {}, (1, 1)),
        (1, 17, {"servers": (Server(1, 17),)}, (1, 17)),
        (0, 16, {"servers": (Server(0, 16),)}, (0, 16)),
        (1, 1234, {"serial_number": 55551234}, (1, 1234)),
        (1, 200, {"servers": (Server(1, 200, 4),)}, (1, 200)),
    ],
)
async def test_an_hdlc_meter_is_found_by_any_form_of_its_address(
    logical: int, physical: int, known: dict[str, Any], reached: tuple[int, int]
) -> None:
    options = MeterOptions(logical_address=logical, physical_address=physical)
    async with simulate([options]) as (server,):
        found = await look(server, clients=(16,), interfaces=("HDLC",), **known)
    assert found.dlms is not None
    assert (found.dlms["logicalAddress"], found.dlms["physicalAddress"]) == reached
    assert found.dlms["clientAddress"] == 16
    assert {"voltage_l1", "active_energy", "active_energy_t1"} <= set(keys(found))
    assert found.advice == ()


async def test_the_entry_is_complete_and_in_the_units_people_want() -> None:
    async with simulate([MeterOptions(serial=7)]) as (server,):
        found = await look(server, clients=(16,))
    assert found.entry is not None
    assert found.entry["deviceName"] == "DLMS-Meter-00000007"
    assert found.entry["connection"] == {"host": "127.0.0.1", "port": server.port}
    series = {item["key"]: item for item in found.entry["timeseries"]}
    assert series["active_energy"] == {
        "key": "active_energy", "obis": "1-0:1.8.0", "unit": "kWh",
    }  # fmt: skip
    assert series["reactive_energy"]["unit"] == "kvarh"
    assert "unit" not in series["voltage_l1"]
    assert series["active_power_demand"]["class"] == "demandRegister"
    assert {"serialNumber", "logicalDeviceName", "clock", "relay_state"} <= set(
        keys(found, "attributes")
    )
    assert keys(found, "profiles") == ["load", "billing", "event"]
    assert load({"devices": [found.entry]}, base=Path()).every_problem == ()


async def test_every_probe_ends_with_a_goodbye() -> None:
    async with simulate([MeterOptions()]) as (server,):
        await look(server)
        assert server.meter.seen["disc"] >= server.meter.seen["snrm"]
        assert server.meter.seen["aarq"] == 1


@pytest.mark.parametrize("client", [16, 1])
async def test_a_wrapper_meter_is_found(client: int) -> None:
    async with simulate([MeterOptions(framing="WRAPPER", client_address=client)]) as (server,):
        found = await look(server)
    assert found.dlms == {
        "interfaceType": "WRAPPER", "clientAddress": client, "logicalAddress": 1,
    }  # fmt: skip
    assert "voltage_l1" in keys(found)


async def test_a_wrapper_meter_on_udp_is_found() -> None:
    async with simulate([MeterOptions(framing="WRAPPER")], udp=True) as (server,):
        section = {"type": "udp", "host": "127.0.0.1", "port": server.port}
        found = await discover(Request(connection=section, pace=FAST))
    assert "voltage_l1" in keys(found)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_meter_with_short_names_is_found(framing: Any) -> None:
    async with simulate([MeterOptions(framing=framing, referencing="SN")]) as (server,):
        found = await look(server, interfaces=(framing,), clients=(16,))
    assert found.dlms is not None
    assert found.dlms["referencing"] == "SN"
    assert "voltage_l1" in keys(found)
    assert found.advice == ()


@pytest.mark.parametrize("known", [{"referencing": "SN"}, {"standard": "DLMS"}, {}])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_the_client_is_the_one_that_answered_whatever_is_known(
    framing: Any, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys without a secret belong to no other client than that which has shown all there is."""
    async with simulate([MeterOptions(framing=framing, referencing="SN")]) as (server,):
        everybody = Role("NONE", everything=True)
        monkeypatch.setattr(server.meter, "role_of", lambda client: everybody)
        found = await look(server, interfaces=(framing,), credentials=known)
        asked = server.meter.seen["aarq"]
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16
    assert found.dlms["referencing"] == "SN"
    # By logical names and by short names, in the search over the wrapper too; not once more.
    most = {"HDLC": 2, "WRAPPER": 3}[framing]
    assert asked == most - ("referencing" in known)
    assert found.notes == ()


async def test_a_meter_that_knows_one_client_is_asked_for_no_other_without_a_secret() -> None:
    options = MeterOptions(referencing="SN", faults={"silent-to-wrong-sap": 1})
    async with simulate([options]) as (server,):
        found = await look(server, credentials={"referencing": "SN"})
        assert server.meter.seen["aarq"] == 1
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_password_is_used_for_the_client_it_belongs_to(framing: Any) -> None:
    options = MeterOptions(framing=framing, client_address=32, authentication="LOW")
    async with simulate([options]) as (server,):
        found = await look(
            server, interfaces=(framing,), clients=(32,), credentials=low("DLMS_RIGHT")
        )
    assert found.entry is not None
    assert found.entry["dlms"]["clientAddress"] == 32
    assert found.entry["dlms"]["password"] == "${env:DLMS_RIGHT}"
    assert "12345678" not in str(found)


async def test_the_meter_itself_tells_which_client_wants_the_password() -> None:
    async with simulate([microstar()]) as (server,):
        found = await look(server, interfaces=("HDLC",), credentials=low("DLMS_MICROSTAR"))
        refused = server.meter.seen["refused"]
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 1
    assert set(keys(found)) == {
        "voltage_l1", "current_l1", "frequency", "active_power", "active_energy",
    }  # fmt: skip
    assert refused == 1  # client 1 without authentication


async def test_no_password_goes_to_a_client_that_the_meter_does_not_know() -> None:
    options = MeterOptions(client_address=19, authentication="LOW")
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("HDLC",), credentials=low("DLMS_RIGHT"))
    assert {refusal.authentication for refusal in found.refusals} == {"NONE"}
    assert "the secret was not used: no client is known to want it" in found.notes[0]
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_wrong_password_is_tried_once(framing: Any) -> None:
    options = MeterOptions(framing=framing, client_address=32, authentication="LOW")
    async with simulate([options]) as (server,):
        found = await look(
            server, interfaces=(framing,), clients=(32,), credentials=low("DLMS_WRONG")
        )
        asked = server.meter.seen["aarq"]
    assert found.entry is None
    assert asked == (1 if framing == "HDLC" else 2)  # over the wrapper an AARQ is the probe
    assert [refusal.authentication for refusal in found.refusals] == ["LOW"]
    advice = "\n".join(found.advice)
    assert "authentication-failure" in advice
    assert "suspect --client first" in advice


async def test_what_the_public_client_reads_is_kept_where_the_password_is_refused() -> None:
    async with simulate([microstar()]) as (server,):
        found = await look(server, interfaces=("HDLC",), credentials=low("DLMS_WRONG"))
    assert found.entry is not None
    assert found.entry["dlms"]["clientAddress"] == 16
    assert any("authentication-failure" in line for line in found.advice)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_meter_that_wants_a_password_is_told_apart_from_silence(framing: Any) -> None:
    async with simulate([MeterOptions(framing=framing, authentication="LOW")]) as (server,):
        found = await look(server, interfaces=(framing,))
        asked = server.meter.seen["aarq"]
    assert found.entry is None
    assert found.dlms is not None
    assert asked <= 4
    assert "client 16 wants authentication" in found.advice[-1]
    assert "--password-env" in found.advice[-1]


async def test_a_meter_with_keys_is_described_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_A", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
    monkeypatch.setenv("DLMS_E", "000102030405060708090A0B0C0D0E0F")
    credentials = {
        "authentication": "HIGH_GMAC",
        "security": "AUTHENTICATION_ENCRYPTION",
        "systemTitle": "0102030405060708",
        "authenticationKey": "${env:DLMS_A}",
        "blockCipherKey": "${env:DLMS_E}",
        "invocationCounter": "0-0:43.1.0",
    }
    options = MeterOptions(
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        invocation_counter=5000,
    )
    async with simulate([options]) as (server,):
        found = await look(server, clients=(1,), interfaces=("HDLC",), credentials=credentials)
    assert found.refusals == ()
    assert "voltage_l1" in keys(found)


async def test_a_password_goes_to_a_meter_with_short_names_once() -> None:
    options = MeterOptions(referencing="SN", client_address=32, authentication="LOW")
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("HDLC",))
        assert "--password-env DLMS_PASSWORD --dlms referencing=SN" in "\n".join(found.advice)
        refused = server.meter.seen["refused"]
        found = await look(server, interfaces=("HDLC",), credentials=low("DLMS_RIGHT"))
        again = server.meter.seen["refused"]
    assert found.dlms is not None
    assert found.dlms["referencing"] == "SN"
    assert found.dlms["clientAddress"] == 32
    assert again < 2 * refused  # no association with the password was refused
    assert "voltage_l1" in keys(found)


async def test_the_wrong_way_of_naming_is_told_from_a_wrong_password() -> None:
    options = MeterOptions(referencing="SN", client_address=32, authentication="LOW")
    async with simulate([options]) as (server,):
        found = await look(
            server, clients=(32,), interfaces=("HDLC",), credentials=low("DLMS_RIGHT")
        )
    advice = "\n".join(found.advice)
    assert "application-context-name" in advice
    assert "--dlms referencing=SN" in advice
    assert "suspect --client first" not in advice


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_client_that_wants_ciphering_is_named(framing: Any) -> None:
    options = MeterOptions(framing=framing, client_address=1, security="AUTHENTICATION_ENCRYPTION")
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=(framing,))
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16
    (line,) = [line for line in found.advice if "ciphering" in line]
    assert line.startswith("client 1 takes neither LN nor SN in clear")
    assert not any("application-context" in line for line in found.advice)


@pytest.mark.parametrize(
    ("framing", "place", "example"),
    [("HDLC", {"physical_address": 17}, "2/17"), ("HDLC", {"logical_address": 0}, "0/2"),
     ("WRAPPER", {}, "2")],
)  # fmt: skip
async def test_other_logical_devices_are_named(
    framing: Any, place: dict[str, int], example: str
) -> None:
    options = MeterOptions(framing=framing, **place)  # type: ignore[arg-type]
    names = {1: b"SIM0000000000001", 2: b"SIMGAS"}
    listed = array(*(structure(u16(sap), octets(name)) for sap, name in names.items()))
    known = (Server(1, 17),) if example == "2/17" else ()
    async with simulate([options]) as (server,):
        alone = await look(server, interfaces=(framing,), servers=known)
        server.meter.put(17, "0-0:41.0.0", 2, listed)
        found = await look(server, interfaces=(framing,), servers=known)
    assert alone.advice == ()
    (line,) = found.advice
    assert "more logical devices are within the meter: 2 (SIMGAS)" in line
    assert line.endswith(f"--server {example}")


@pytest.mark.parametrize("fault", ["exception", "drop-after"])
async def test_a_meter_that_lets_us_in_and_tells_nothing_does_not_refuse(fault: str) -> None:
    options = MeterOptions(faults={fault: 200})
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert found.entry is None
    assert found.advice[0].startswith("client 16 is let in, but reading what it has failed")
    assert "refuses us" not in "\n".join(found.advice)


async def test_silence_is_followed_by_what_to_suspect() -> None:
    options = MeterOptions(faults={"silence": 1})
    async with simulate([options]) as (server,):
        found = await look(server, clients=(16,), servers=(Server(1, 1, 2),))
    assert found.entry is found.dlms is None
    advice = "\n".join(found.advice)
    assert advice.startswith("no meter answered; tried HDLC: 2 probes, client 16, server 1/1")
    assert "narrowed by --client, --server" in advice
    assert "--timeout" in advice


async def test_a_peer_that_hangs_up_is_told() -> None:
    options = MeterOptions(client_address=1, faults={"close-on-wrong-sap": 1}, framing="WRAPPER")
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("WRAPPER",), clients=(48,))
    assert any("hung up" in line for line in found.advice)


async def test_a_peer_that_is_gone_in_the_middle_is_told() -> None:
    """Such as a converter that takes its time to let go of a connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        server.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    section = {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}
    found = await discover(Request(connection=section, pace=FAST))
    await server.wait_closed()
    assert found.entry is None
    assert found.notes[0].startswith("cannot connect to 127.0.0.1")
    assert found.notes[0].endswith("in the middle of the search: not all was tried")


async def test_the_search_stops_after_so_many_probes_and_says_so() -> None:
    async with simulate([MeterOptions(faults={"silence": 1})]) as (server,):
        found = await look(server, replace(FAST, max_probes=3))
        assert server.meter.seen["snrm"] <= 3
    assert len(found.attempts) == 3
    assert found.notes == ("stopped after 3 probes (--max-probes)",)


@pytest.mark.parametrize("fault", ["refuse-list", "malformed-list", "one-byte-fragments", "echo"])
async def test_bad_manners_do_not_matter(fault: str) -> None:
    async with simulate([MeterOptions(faults={fault: 1})]) as (server,):
        found = await look(server, clients=(16,), interfaces=("HDLC",))
    assert "voltage_l1" in keys(found)


@pytest.mark.parametrize(
    "fault", ["deaf-after-dm", "deaf-after-disc", "close-on-disc", "keeps-link"]
)
async def test_a_meter_that_takes_no_disc_without_a_session_is_found(fault: str) -> None:
    async with simulate([MeterOptions(faults=[fault])]) as (server,):
        found = await look(server)
    assert found.entry is not None


async def test_an_object_that_is_refused_is_not_in_the_entry() -> None:
    async with simulate([MeterOptions()]) as (server,):
        server.meter.put(3, "1-0:52.7.0", 2, AccessError(3))
        found = await look(server, clients=(16,), interfaces=("HDLC",))
    assert found.description is not None
    assert "voltage_l2" not in keys(found)
    problems = {one.key: one.problem for one in found.description.objects}
    assert "read-write-denied" in problems["voltage_l2"]


async def test_a_meter_that_lists_nothing_is_asked_for_what_is_usual() -> None:
    async with simulate([MeterOptions()]) as (server,):
        server.meter.put(15, "0-0:40.0.0", 2, AccessError(3))
        found = await look(server, clients=(16,), interfaces=("HDLC",))
    assert {"voltage_l1", "active_energy"} <= set(keys(found))
    assert "asked for what is usual" in found.notes[0]


async def test_registers_of_unknown_meaning_are_taken_if_wanted() -> None:
    unknown = {"1-0:200.7.0": {"class": "register", "attributes": {
        "2": {"type": "long-unsigned", "value": 5},
        "3": {"type": "structure", "value": [
            {"type": "integer", "value": 0}, {"type": "enum", "value": 255}]},
    }}}  # fmt: skip
    async with simulate([MeterOptions(overrides=unknown)]) as (server,):
        section = {"host": "127.0.0.1", "port": server.port}
        wanted = Wanted(clients=(16,), interfaces=("HDLC",))
        request = Request(connection=section, wanted=wanted, pace=FAST)
        found = await discover(request)
        every = await discover(
            Request(connection=section, wanted=wanted, pace=FAST, every_register=True, name="M")
        )
    assert "obis_1_0_200_7_0" not in keys(found)
    assert "obis_1_0_200_7_0" in keys(every)
    assert every.entry is not None
    assert every.entry["deviceName"] == "M"


async def test_the_preset_lends_its_quirks_and_another_its_name() -> None:
    async with simulate([MeterOptions(client_address=32, authentication="LOW")]) as (server,):
        server.meter.put(3, "1-0:1.8.0", 2, u16(1))
        found = await look(
            server, preset="microstar", clients=(32,), credentials=low("DLMS_RIGHT"),
            interfaces=("HDLC",), servers=(Server(1, 1, 2),),
        )  # fmt: skip
    assert found.entry is not None
    assert found.entry["connection"]["timeoutMs"] == 7000
    assert found.entry["workarounds"]["pauseBetweenFramesMs"] == 30


async def test_a_public_preset_does_not_say_whose_the_password_is() -> None:
    async with simulate([microstar()]) as (server,):
        found = await look(
            server, preset="microstar", interfaces=("HDLC",), credentials=low("DLMS_MICROSTAR")
        )
    assert found.entry is not None
    assert found.entry["dlms"]["clientAddress"] == 1
    assert found.entry["dlms"]["authentication"] == "LOW"


async def test_nobody_at_the_endpoint_is_an_error_of_its_own() -> None:
    section = {"host": "127.0.0.1", "port": free_port()}
    with pytest.raises(ConnectError):
        await discover(Request(connection=section, pace=FAST))


async def test_credentials_that_make_no_sense_are_told_before_anybody_is_asked() -> None:
    section = {"host": "127.0.0.1", "port": 1}
    for credentials, sentence in (
        ({"authentication": "LOW"}, "needs a password"),
        ({"sistemTitle": "00"}, "dlms.sistemTitle"),
        (low("DLMS_UNSET"), "DLMS_UNSET is not set"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            await discover(Request(connection=section, credentials=credentials, pace=FAST))


async def test_listeners_hear_of_probes_and_objects() -> None:
    heard: list[tuple[str, int, int]] = []
    read: list[tuple[int, int]] = []
    async with simulate([MeterOptions()]) as (server,):
        section = {"host": "127.0.0.1", "port": server.port}
        await discover(
            Request(connection=section, wanted=Wanted(clients=(16,)), pace=FAST),
            trying=lambda *what: heard.append(what),
            reading=lambda *counts: read.append(counts),
        )
    assert heard[0][0].startswith("HDLC client 16, server 1/1")
    assert read[-1][0] == read[-1][1] > 30
    await asyncio.sleep(0)
