"""The longest APDU that is offered to a meter."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.protocol.association.agreement import offered_pdu


@pytest.mark.parametrize(
    ("framing", "workarounds", "offered"),
    [
        ("HDLC", {}, 0xFFFF),
        ("HDLC", {"connectionless": True}, 2027),
        ("HDLC", {"connectionless": True, "max_pdu": 512}, 512),
        ("WRAPPER", {"connectionless": True}, 0xFFFF),
    ],
)
def test_no_longer_apdu_is_offered_than_a_ui_frame_holds(
    framing: Any, workarounds: dict[str, Any], offered: int
) -> None:
    assert offered_pdu(Dlms(interface_type=framing), Workarounds(**workarounds)) == offered
