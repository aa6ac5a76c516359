"""Answers by logical name, read strictly."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data.axdr import Data, DataType
from dlms_connector.protocol.services.replies import (
    AccessDone,
    ActionBlock,
    ActionDone,
    BlockTaken,
    ExceptionReply,
    GetBlock,
    GetList,
    GetNormal,
    Notification,
    Reply,
    SetDone,
    parse,
)

ONE = Data(DataType.UNSIGNED, 1)

ANSWERS: list[tuple[str, Reply]] = [
    ("C4 01 81 00 11 01", GetNormal(1, ONE)),
    ("C4 01 01 01 04", GetNormal(1, 4)),
    ("C4 02 C5 00 00 00 00 02 00 02 AB CD", GetBlock(5, False, 2, b"\xab\xcd")),
    ("C4 02 C5 01 00 00 00 02 00 00", GetBlock(5, True, 2, b"")),
    ("C4 02 C5 01 00 00 00 02 01 0F", GetBlock(5, True, 2, 15)),
    ("C4 03 C1 02 00 11 01 01 04", GetList(1, (ONE, 4))),
    ("C5 01 C1 00", SetDone(1, (0,))),
    ("C5 02 C1 00 00 00 07", BlockTaken(1, 7)),
    ("C5 02 C1 00 00 00 01 00 00 00", BlockTaken(1, 1)),  # gurux.dlms 4.0.47
    ("C5 03 C1 0C 00 00 00 07", SetDone(1, (12,))),
    ("C5 03 CB 03", SetDone(11, (3,))),  # gurux.dlms 4.0.47
    ("C5 04 C1 02 00 0C 00 00 00 07", SetDone(1, (0, 12))),
    ("C5 05 C1 02 00 0C", SetDone(1, (0, 12))),
    ("C7 01 C1 00 00", ActionDone(1, ((0, None),))),
    ("C7 01 C1 03", ActionDone(1, ((3, None),))),
    ("C7 01 C1 00 01 00 11 01", ActionDone(1, ((0, ONE),))),
    ("C7 01 C1 00 01 01 04", ActionDone(1, ((0, 4),))),
    ("C7 02 C1 01 00 00 00 02 01 AB", ActionBlock(1, True, 2, b"\xab")),
    ("C7 03 C1 02 00 00 03 00", ActionDone(1, ((0, None), (3, None)))),
    ("C7 04 C1 00 00 00 02", BlockTaken(1, 2)),
    ("DA 40 00 00 05 00 00 02 11 01 00 02 01 00 01 04",
     AccessDone(5, ((0, ONE), (4, Data(DataType.NULL))))),
    ("D8 01 02", ExceptionReply("service-not-allowed, service-not-supported")),
    ("D8 02 06 00 00 01 00", ExceptionReply("service-unknown, invocation-counter-error")),
    ("0F 40 00 00 09 00 11 01", Notification(9, b"", ONE)),
    ("0F 00 00 00 09 02 AB CD 11 01", Notification(9, b"\xab\xcd", ONE)),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reply"), ANSWERS)
def test_every_form(answer: str, reply: Reply) -> None:
    assert parse(bytes.fromhex(answer), "testing") == reply


@pytest.mark.parametrize(("answer", "reply"), ANSWERS)
def test_cut_short_or_too_long(answer: str, reply: Reply) -> None:
    octets = bytes.fromhex(answer)
    for size in range(7 if isinstance(reply, BlockTaken) else len(octets)):
        # Some meters leave the last usage flag of an ACTION out, and nobody misses what
        # stands behind an exception or a refusal.
        refused = isinstance(reply, SetDone) and size == 4 and any(reply.codes)
        if not refused and not isinstance(reply, ActionDone | ExceptionReply):
            with pytest.raises(ProtocolError, match=r"testing: .+"):
                parse(octets[:size], "testing")
    if not isinstance(reply, ExceptionReply | BlockTaken):
        with pytest.raises(ProtocolError, match=r"testing: .+"):
            parse(octets + b"\x00\x00\x00", "testing")


@pytest.mark.parametrize("answer", ["", "C4", "C4 01", "FF", "C4 00 C1 00", "61 00", "C2 00"])
def test_what_is_none(answer: str) -> None:
    with pytest.raises(ProtocolError, match="testing"):
        parse(bytes.fromhex(answer), "testing")


@given(st.sampled_from([bytes.fromhex(answer)[:3] for answer, _ in ANSWERS]), st.binary())
def test_noise_raises_nothing_but_ours(head: bytes, noise: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(head + noise, "testing")
