from __future__ import annotations

import pytest

from dlms_connector.config.model import Dlms, Workarounds
from dlms_connector.errors import ConfigError, LinkTimeoutError
from dlms_connector.protocol.datalink.datalink import make_datalink
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.mode_e import ModeE
from tests.support.hdlc_meter import HdlcMeter
from tests.support.talks import Script, drive
from tests.support.transcripts import read_transcript


def test_hdlc_by_configuration() -> None:
    dlms = Dlms(client_address=16, logical_address=1, physical_address=17, address_size=4)
    link = make_datalink(dlms, 2, Workarounds())
    (_, snrm), (_, ua), *_ = read_transcript("hdlc_association")
    script = Script([ua])
    drive(link.connect(), script)
    assert script.heard == [snrm]


def test_workarounds_reach_the_snrm() -> None:
    dlms = Dlms(client_address=16, logical_address=1, physical_address=17, address_size=4)
    meter = HdlcMeter()
    drive(make_datalink(dlms, 0, Workarounds(max_info_receive=1010)).connect(), meter)
    assert HdlcParameters.decode(meter.heard[0].information) == HdlcParameters(128, 1010)
    meter = HdlcMeter()
    windows = Workarounds(window_transmit=2, window_receive=3)
    drive(make_datalink(dlms, 0, windows).connect(), meter)
    assert HdlcParameters.decode(meter.heard[0].information) == HdlcParameters(128, 128, 2, 3)
    meter = HdlcMeter()
    drive(make_datalink(dlms, 0, Workarounds(skip_snrm=True)).connect(), meter)
    assert meter.heard == []


def test_wrapper_by_configuration() -> None:
    dlms = Dlms(interface_type="WRAPPER", client_address=16, logical_address=1)
    link = make_datalink(dlms, 2, Workarounds())
    script = Script([bytes.fromhex("0001 0001 0010 0001 c4")])
    assert drive(link.exchange(b"\xc0"), script) == b"\xc4"
    assert script.heard == [bytes.fromhex("0001 0010 0001 0001 c0")]


def test_nothing_is_asked_twice_where_answers_cannot_be_told_apart() -> None:
    """With one invoke-id for all, the answer to a repetition would be taken for the next one."""
    dlms = Dlms(interface_type="WRAPPER", client_address=16, logical_address=1)
    for fixed, asked in ((None, 3), (0, 1), (1, 1)):
        script = Script([])
        with pytest.raises(LinkTimeoutError):
            drive(make_datalink(dlms, 2, Workarounds(fixed_invoke_id=fixed)).exchange(b"x"), script)
        assert len([sent for sent in script.heard if sent]) == asked


def test_mode_e_by_configuration() -> None:
    link = make_datalink(Dlms(interface_type="HDLC_WITH_MODE_E"), 2, Workarounds())
    assert isinstance(link, ModeE)


def test_the_sign_on_is_as_configured() -> None:
    mode_e = {"address": 12345, "startBaudrate": 600, "maxBaudrate": "4800"}
    dlms = Dlms.model_validate({"interfaceType": "HDLC_WITH_MODE_E", "modeE": mode_e})
    talk = make_datalink(dlms, 0, Workarounds()).connect()
    assert repr(next(talk)) == "LineSettings(600 7E1)"
    assert talk.send(b"") == b"/?12345!\r\n"
    talk.send(b"/ISk5\\2MT174\r\n")
    choice = talk.send(b"")
    assert repr(choice) == "LineSettings(4800 8N1)"
    assert bytes(choice) == b"\x06242\r\n"
    talk.close()


def test_an_address_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="addressSize"):
        make_datalink(Dlms(physical_address=500, address_size=1), 2, Workarounds())
