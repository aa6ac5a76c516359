"""Meters that refuse by other means than an AARE, other clients' sessions, and workarounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlms_connector.config import TcpConnection
from dlms_connector.discovery import (
    Discovery,
    Pace,
    Request,
    Wanted,
    discover,
    objects_as_json,
)
from dlms_connector.discovery.candidates import Candidate, Server
from dlms_connector.discovery.stages import stages
from dlms_connector.discovery.survey import _Survey
from dlms_connector.simulator import Endpoint, MeterOptions, microstar, simulate
from dlms_connector.simulator.objects import Role

FAST = Pace(timeout_s=0.04, per_second=1000, settle_s=0.01, reopen_s=0)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_A", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
    monkeypatch.setenv("DLMS_E", "000102030405060708090A0B0C0D0E0F")
    monkeypatch.setenv("DLMS_OTHER", "FF0102030405060708090A0B0C0D0E0F")


async def look(
    server: Endpoint,
    credentials: Mapping[str, Any] | None = None,
    state_dir: Path | None = None,
    *,
    counter_from_one: bool = False,
    **wanted: Any,
) -> Discovery:
    section = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 100}
    request = Request(
        connection=section, wanted=Wanted(**wanted), pace=FAST, credentials=credentials or {},
        state_dir=state_dir, try_counter_from_one=counter_from_one,
    )  # fmt: skip
    return await discover(request)


def ciphered(key: str = "DLMS_E", authentication: str = "HIGH_GMAC") -> Mapping[str, Any]:
    return {
        "authentication": authentication,
        "security": "AUTHENTICATION_ENCRYPTION",
        "systemTitle": "0102030405060708",
        "authenticationKey": "${env:DLMS_A}",
        "blockCipherKey": f"${{env:{key}}}",
        "invocationCounter": "0-0:43.1.0",
    }


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
@pytest.mark.parametrize("fault", ["silent-refusals", "frmr-refusals", "own-context"])
async def test_short_names_are_tried_however_the_other_names_are_refused(
    fault: str, framing: Any
) -> None:
    options = MeterOptions(framing=framing, referencing="SN", faults={fault: 1})
    async with simulate([options]) as (server,):
        found = await look(server, clients=(16,))
    assert found.dlms is not None
    assert found.dlms.get("referencing") == "SN"
    assert found.measures


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_another_clients_session_is_told_from_noise(framing: Any) -> None:
    options = MeterOptions(framing=framing, faults={"others-session": 19})
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=(framing,), clients=(16, 1))
    advice = "\n".join(found.advice)
    assert found.entry is None
    assert "a valid frame for client 19 came" in advice
    assert "another client's session is open" in advice
    assert "suspect" not in advice
    assert "no frames" not in advice


async def test_frames_for_others_do_not_hide_the_answer_to_us() -> None:
    async with simulate([MeterOptions(faults={"foreign-frames": 1})]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16


@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_workaround_for_ciphering_is_found_by_trial(
    framing: Any, silent: bool, tmp_path: Path
) -> None:
    faults = {"counter-from-one": 1.0} | ({"silent-refusals": 1.0} if silent else {})
    options = MeterOptions(
        framing=framing,
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        faults=faults,
    )
    keys = {key: value for key, value in ciphered().items() if key != "invocationCounter"}
    async with simulate([options]) as (server,):
        found = await look(
            server, keys, tmp_path, clients=(1,), interfaces=(framing,), counter_from_one=True
        )
    assert found.measures, found
    assert found.entry is not None
    assert found.entry["workarounds"] == {"counterFromOne": True}
    assert any("counterFromOne" in note for note in found.notes)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_no_number_of_a_key_is_used_twice_unasked(framing: Any, tmp_path: Path) -> None:
    options = MeterOptions(
        framing=framing,
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        faults={"counter-from-one": 1.0},
    )
    keys = {key: value for key, value in ciphered().items() if key != "invocationCounter"}
    async with simulate([options]) as (server,):
        found = await look(server, keys, tmp_path, clients=(1,), interfaces=(framing,))
    assert "counterFromOne" not in (found.entry or {}).get("workarounds", {})
    told = (*found.notes, *found.advice)
    assert any("--try-counter-from-one" in words for words in told)


async def test_a_meter_that_counts_no_frames_is_read_all_the_same() -> None:
    async with simulate([MeterOptions(faults=["never-counts"])]) as (server,):
        found = await look(server, interfaces=("HDLC",), clients=(16,))
    assert found.measures, found
    assert found.entry is not None
    assert found.entry["workarounds"] == {"uncountedFrames": True}


@pytest.mark.parametrize("fault", ["close-on-bare-snrm", "silent-to-bare-snrm"])
async def test_a_meter_that_wants_the_parameters_named_is_found(fault: str) -> None:
    async with simulate([MeterOptions(faults=[fault])]) as (server,):
        found = await look(server)
    assert found.measures, found
    assert found.entry is not None
    assert found.entry["workarounds"] == {"windowReceive": 1}


async def test_a_meter_that_hears_nothing_behind_dm_is_found_over_a_new_connection() -> None:
    faults = ["deaf-to-first-frame", "deaf-after-dm"]
    async with simulate([MeterOptions(faults=faults)]) as (server,):
        found = await look(server, interfaces=("HDLC",), clients=(16,))
    assert found.measures, found


async def test_values_without_their_scaler_are_told_to_be_raw() -> None:
    async with simulate([MeterOptions(faults={"no-scaler": 11})]) as (server,):
        found = await look(server, interfaces=("HDLC",), clients=(16,))
    assert found.description is not None
    raw = {one.key for one in found.description.objects if one.raw}
    assert "voltage_l1" in raw
    listed = {one["key"]: one for one in objects_as_json(found.description.objects)}
    assert listed["voltage_l1"]["raw"] is True
    assert "raw" not in listed["clock"]
    assert any("no scaler was given for" in note for note in found.notes)


async def test_silence_to_ciphering_does_not_blame_the_keys_alone() -> None:
    options = MeterOptions(
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        faults={"silent-refusals": 1},
    )
    async with simulate([options]) as (server,):
        found = await look(server, ciphered("DLMS_OTHER"), clients=(1,), interfaces=("HDLC",))
        assert server.meter.seen["refused"] <= 4
    advice = "\n".join(found.advice)
    for word in ("invocation counter", "systemTitle", "suite", "counterFromOne", "wrong keys"):
        assert word in advice
    assert not found.measures


async def test_a_password_that_was_judged_is_not_repeated_with_workarounds() -> None:
    options = MeterOptions(
        client_address=1, authentication="LOW", security="AUTHENTICATION_ENCRYPTION"
    )
    secret = {**ciphered(authentication="LOW"), "password": "${env:DLMS_A}"}
    async with simulate([options]) as (server,):
        found = await look(server, secret, clients=(1,), interfaces=("HDLC",))
        refused = server.meter.seen["refused"]
    assert not found.measures
    assert refused == 1


async def test_an_open_client_is_found_behind_one_that_wants_a_secret() -> None:
    """Two logical devices of one address: each knows a client."""
    open_one = MeterOptions(client_address=32)
    async with simulate([replace(open_one)]) as (server,):
        known = server.meter.role_of

        def role_of(client: int) -> Any:
            if client != 1:
                return known(client)
            return Role("LOW", everything=True)

        server.meter.role_of = role_of  # type: ignore[method-assign]
        found = await look(server, interfaces=("HDLC",))
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 32
    assert found.measures


async def test_what_gives_more_without_a_secret_is_preferred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DLMS_PASSWORD", "12345678")
    secret = {"authentication": "LOW", "password": "${env:DLMS_PASSWORD}"}
    roles = {16: Role("NONE", everything=True), 1: Role("LOW", everything=False)}
    async with simulate([MeterOptions()]) as (server,):
        server.meter.role_of = lambda client: roles.get(client)  # type: ignore[method-assign]
        found = await look(server, secret, interfaces=("HDLC",))
    assert found.dlms is not None
    assert found.dlms["clientAddress"] == 16
    assert "password" not in found.dlms
    assert found.measures
    assert any("gives more without a secret" in note for note in found.notes)


async def test_a_client_without_measured_values_makes_no_entry_that_counts() -> None:
    async with simulate([microstar()]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert found.entry is not None
    assert not found.measures
    assert "client 1 wants authentication" in "\n".join(found.advice)


def test_both_framings_are_tried_before_guesses() -> None:
    every = list(stages(TcpConnection(host="h"), Wanted(), all_baudrates=True))
    first = [(stage.candidates[0].interface, len(stage.candidates)) for stage in every[:2]]
    assert first == [("HDLC", 2), ("WRAPPER", 2)]
    assert every[0].candidates[0] == Candidate("HDLC", 16, Server(1, 1, 2))
    assert every[1].candidates[0] == Candidate("WRAPPER", 16, Server(1))
    flat = [one for stage in every for one in stage.candidates]
    assert len(flat) == len(set(flat))
    assert {one.referencing for one in flat} == {"LN", "SN"}
    assert any(stage.signs_on for stage in every)


async def test_a_meter_that_wants_disc_before_snrm_is_found_and_its_entry_says_so() -> None:
    async with simulate([MeterOptions(faults={"wants-disc-first": 1})]) as (server,):
        found = await look(server)
    assert found.measures
    assert found.entry is not None
    assert found.entry["workarounds"] == {"clearFirst": "always"}


async def test_a_first_snrm_that_is_lost_is_no_want_of_disc() -> None:
    async with simulate([MeterOptions(faults={"deaf-to-first-frame": 1})]) as (server,):
        found = await look(server, clients=(16,), interfaces=("HDLC",))
    assert found.entry is not None
    assert "workarounds" not in found.entry


@pytest.mark.parametrize("referencing", ["LN", "SN"])
async def test_a_meter_that_rejects_numbered_frames_is_read_in_ui_frames(referencing: Any) -> None:
    options = MeterOptions(faults={"wants-ui": 1}, referencing=referencing)
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("HDLC",))
    assert found.measures
    assert found.entry is not None
    assert found.entry["workarounds"] == {"connectionless": True}
    assert not any("FRMR" in note or "no complete reply" in note for note in found.notes)


async def test_a_secret_goes_to_a_meter_that_rejects_numbered_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DLMS_PASSWORD", "12345678")
    secret = {"authentication": "LOW", "password": "${env:DLMS_PASSWORD}"}
    options = MeterOptions(client_address=1, authentication="LOW", faults={"wants-ui": 1})
    async with simulate([options]) as (server,):
        found = await look(server, secret, clients=(1,), interfaces=("HDLC",))
    assert found.measures
    assert found.entry is not None
    assert found.entry["workarounds"] == {"connectionless": True}


@pytest.mark.parametrize("udp", [False, True])
async def test_headers_in_the_other_byte_order_are_tried(udp: bool) -> None:
    options = MeterOptions(framing="WRAPPER", faults={"swapped-header": 1})
    async with simulate([options], udp=udp) as (server,):
        section = {"type": "udp" if udp else "tcp", "host": "127.0.0.1", "port": server.port}
        found = await discover(Request(connection=section, pace=FAST))
    assert found.measures
    assert found.entry is not None
    assert found.entry["workarounds"] == {"wrapperByteOrder": "little"}


async def test_a_meter_of_the_other_referencing_is_not_asked_around() -> None:
    """It accepted, so the client is right: only the referencing is not."""
    options = MeterOptions(framing="WRAPPER", referencing="SN", faults={"own-context": 1})
    async with simulate([options]) as (server,):
        found = await look(server, interfaces=("WRAPPER",))
    assert len(found.attempts) == 1
    assert found.measures
    assert found.dlms is not None
    assert found.dlms["referencing"] == "SN"
    assert found.notes == ()


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_a_meter_that_names_the_other_context_is_told_with_the_key(framing: Any) -> None:
    async with simulate([MeterOptions(framing=framing, faults={"other-context": 1})]) as (server,):
        found = await look(server, interfaces=(framing,), clients=(16,))
    assert any("dlms.referencing" in note for note in found.notes)


@pytest.mark.parametrize("minutes", [60, -30])
async def test_a_clock_that_is_wrong_by_half_hours_is_told_once(minutes: int) -> None:
    async with simulate([MeterOptions()]) as (server,):
        server.meter.clock_shift = minutes * 60
        found = await look(server, interfaces=("HDLC",))
    assert [note for note in found.notes if "as in another zone" in note] == list(found.notes)
    assert len(found.notes) == 1


def test_the_other_byte_order_is_tried_before_guesses() -> None:
    every = list(stages(TcpConnection(host="h"), Wanted(), all_baudrates=True))
    swapped = [stage for stage in every if any(one.needs for one in stage.candidates)]
    swapped = [stage for stage in swapped if "wPort" in str(stage.candidates[0])]
    assert [one.client for stage in swapped for one in stage.candidates] == [16, 1, 32]
    assert sum(len(stage.candidates) for stage in every[: every.index(swapped[0])]) <= 4
    assert not any(stage.signs_on for stage in every[: every.index(swapped[0])])


def test_a_secret_is_for_the_client_that_was_let_in_beside_the_public_one() -> None:
    """Over the wrapper the search ends with the public client, which answers first."""
    survey = SimpleNamespace(
        _told_client=lambda: None,
        _wanting_proof=lambda: None,
        _search=SimpleNamespace(answers=[SimpleNamespace(found=SimpleNamespace(client=16))]),
        _tries=SimpleNamespace(refusals=[], let_in=[16, 1]),
    )
    assert _Survey._own_client(survey) == 1  # type: ignore[arg-type]
    survey._tries.let_in = [16]
    assert _Survey._own_client(survey) == 16  # type: ignore[arg-type]
