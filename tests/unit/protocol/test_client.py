"""The client: which service serves what, from connecting to saying goodbye."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pytest

from dlms_connector.config.model import Device, Dlms, Workarounds
from dlms_connector.cosem import AttributeRef, ByRange, MethodRef
from dlms_connector.errors import (
    ConfigError,
    LinkClosedError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    ServiceError,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol.association.agreement import Negotiated
from dlms_connector.protocol.association.association import Association
from dlms_connector.protocol.client import Client, make_client
from dlms_connector.protocol.data.axdr import Data, DataType
from dlms_connector.protocol.services.directory import Directory
from dlms_connector.protocol.talk import DataLink, Talk
from tests.support.apdus import PlainLink, hold, in_turn

REFS = [AttributeRef(3, Obis.parse(f"1-0:{c}.8.0"), 2) for c in (1, 2, 3)]
ONE = Data(DataType.UNSIGNED, 1)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


class Agreed(Association):
    """An association that is agreed on without a word."""

    def __init__(self, conformance: Sequence[str], max_pdu: int = 0xFFFF) -> None:
        super().__init__(Dlms(), Workarounds(), None)
        self._agreed = Negotiated(frozenset(conformance), max_pdu, 6, None)
        self.closed = 0

    def open(self, datalink: DataLink) -> Talk[Negotiated]:
        yield from ()
        return self._agreed

    def close(self, datalink: DataLink) -> Talk[None]:
        self.closed += 1
        yield from datalink.exchange(b"release")


class Sealing(Agreed):
    """Says that it ciphers, and lets everything through."""

    ciphered = True

    def protect(self, apdu: bytes) -> bytes:
        return apdu


class Broken(PlainLink):
    """A link whose peer is gone when it is to say goodbye."""

    def disconnect(self) -> Talk[None]:
        yield b"disconnect"
        raise LinkClosedError


def client_of(
    *conformance: str, max_pdu: int = 0xFFFF, dlms: Dlms | None = None, link: DataLink | None = None
) -> Client:
    directory = Directory({(ref.class_id, ref.obis): 0x100 for ref in REFS})
    client = Client(
        dlms or Dlms(), Workarounds(), link or PlainLink(), Agreed(conformance, max_pdu), directory
    )
    hold(client.connect(), in_turn())
    return client


class TestGet:
    def test_several_in_one_request_where_agreed(self) -> None:
        heard: list[bytes] = []
        client = client_of("get", "multiple-references")
        answers = in_turn(h("C4 03 C1 03 00 11 01 01 04 00 11 01"))
        first, second, third = hold(client.get(REFS), answers, heard)
        assert (first, third) == (ONE, ONE)
        assert isinstance(second, ObjectError)
        assert len(heard) == 1

    def test_several_one_by_one_where_not(self) -> None:
        heard: list[bytes] = []
        answers = in_turn(*(h(f"C4 01 C{n} 00 11 01") for n in (1, 2, 3)))
        assert hold(client_of("get").get(REFS), answers, heard) == [ONE] * 3
        assert [request[:3] for request in heard] == [h(f"C0 01 C{n}") for n in (1, 2, 3)]

    def test_one_by_itself(self) -> None:
        heard: list[bytes] = []
        client = client_of("get", "multiple-references")
        assert hold(client.get(REFS[:1]), in_turn(h("C4 01 C1 00 11 01")), heard) == [ONE]
        assert heard[0][:2] == h("C0 01")

    @pytest.mark.parametrize(("fixed", "asked"), [(None, 3), (1, 1)])
    def test_nothing_ciphered_is_asked_twice_with_one_invoke_id_for_all(
        self, fixed: int | None, asked: int
    ) -> None:
        """The second answer would be taken for that to the next question."""
        dlms, association, heard = Dlms(interface_type="WRAPPER"), Sealing(["get"]), list[bytes]()
        workarounds = Workarounds(fixed_invoke_id=fixed)
        client = Client(dlms, workarounds, PlainLink(), association, retries=2)
        with pytest.raises(LinkTimeoutError):
            hold(client.get(REFS[:1]), in_turn(), heard)
        assert len(heard) == asked

    def test_an_answer_of_the_association_before_is_not_taken(self) -> None:
        """Where the connection outlives an association, so may the answers on their way."""
        directory, values = Directory(), []
        for answers in (["C4 01 C1 00 11 01"], ["C4 01 C1 00 11 09", "C4 01 C2 00 11 01"]):
            client = Client(Dlms(), Workarounds(), PlainLink(), Agreed(["get"]), directory)
            heard = [h(one) for one in answers]
            values += hold(client.get(REFS[:1]), lambda _, heard=heard: heard)  # type: ignore[misc]
        assert values == [ONE, ONE]

    def test_none(self) -> None:
        assert hold(client_of("get", "multiple-references").get([]), in_turn()) == []

    def test_by_access_where_agreed(self) -> None:
        heard: list[bytes] = []
        client = client_of("get", "multiple-references", "access")
        answer = h("DA C0 00 00 01 00 00 02 11 01 00 02 01 00 01 04")
        first, second = hold(client.get(REFS[:2]), in_turn(answer), heard)
        assert first == ONE
        assert isinstance(second, ObjectError)
        assert second.code == 4
        assert heard == [
            h("D9 C0 00 00 01 00 02 01 00 03 01 00 01 08 00 FF 02")
            + h("01 00 03 01 00 02 08 00 FF 02 02 00 00")
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            "DA C0 00 00 01 00 00 01 11 01 01 01 00",
            "DA C0 00 00 01 00 00 02 11 01 00 01 01 00",
            "DA C0 00 00 01 00 01 02 11 01 00 02 01 00 01 04",
            "DA C0 00 00 01 00",
            "D8 02 02",
        ],
    )
    def test_access_that_makes_no_sense(self, answer: str) -> None:
        client = client_of("access")
        with pytest.raises(ServiceError):
            hold(client.get(REFS[:2]), in_turn(h(answer)))

    def test_by_short_name(self) -> None:
        heard: list[bytes] = []
        client = client_of("read", "access", dlms=Dlms(referencing="SN"))
        assert hold(client.get(REFS[:1]), in_turn(h("0C 01 00 11 01")), heard) == [ONE]
        assert heard == [h("05 01 02 01 08")]

    def test_a_range_in_the_meters_own_way(self) -> None:
        heard: list[bytes] = []
        instant = datetime(2026, 11, 23, 22, 0, tzinfo=timezone.utc)
        ref = AttributeRef(7, Obis.parse("1-0:99.1.0"), 2, ByRange(start=instant, end=5))
        workarounds = Workarounds(skip_date_time_fields=("deviation", "status"))
        client = Client(Dlms(), workarounds, PlainLink(), Agreed(["get"]))
        hold(client.get([ref]), in_turn(h("C4 01 C1 00 01 00")), heard)
        assert heard[0][12:] == h(
            "01 01 02 04 02 04 12 00 08 09 06 00 00 01 00 00 FF 0F 02 12 00 00"
            "09 0C 07 EA 0B 17 01 16 00 00 00 80 00 FF 06 00 00 00 05 01 00"
        )


class TestSet:
    def test_several_in_one_request_where_agreed(self) -> None:
        client = client_of("set", "multiple-references")
        writes = [(ref, ONE) for ref in REFS[:2]]
        first, second = hold(client.set(writes), in_turn(h("C5 05 C1 02 00 03")))
        assert first is None
        assert second is not None

    def test_several_one_by_one_where_not(self) -> None:
        answers = in_turn(h("C5 01 C1 00"), h("C5 01 C2 03"))
        first, second = hold(client_of("set").set([(ref, ONE) for ref in REFS[:2]]), answers)
        assert first is None
        assert second is not None

    def test_by_access_where_agreed(self) -> None:
        heard: list[bytes] = []
        client = client_of("set", "access")
        answer = h("DA C0 00 00 02 00 00 02 00 00 02 02 00 02 03")
        talk = client.set([(ref, ONE) for ref in REFS[:2]])
        first, second = hold(talk, lambda r: [answer[:4] + r[4:5] + answer[5:]], heard)
        assert first is None
        assert second is not None
        assert second.code == 3
        assert heard[0][-5:] == h("02 11 01 11 01")

    def test_a_list_too_long_for_access_goes_as_a_list(self) -> None:
        heard: list[bytes] = []
        client = client_of("set", "access", max_pdu=31)
        talk = client.set([(ref, ONE) for ref in REFS[:2]])
        assert hold(talk, in_turn(h("C5 05 C2 02 00 00")), heard) == [None, None]
        assert [request[:3] for request in heard] == [h("C1 04 C2")]

    def test_a_list_too_long_for_anything(self) -> None:
        client = client_of("set", "access", max_pdu=35)
        with pytest.raises(ServiceError, match="PDU of 35"):
            hold(client.set([(ref, ONE) for ref in REFS]), in_turn())


def test_action() -> None:
    method = MethodRef(70, Obis.parse("0-0:96.3.10"), 1)
    assert hold(client_of("action").action(method, ONE), in_turn(h("C7 01 C1 00 00"))) is None


class TestMaxItems:
    def test_one_where_lists_are_not_agreed_on(self) -> None:
        assert client_of("get").max_items(REFS) == 1
        assert client_of("get").max_items([]) == 0

    @pytest.mark.parametrize(
        ("max_pdu", "items"), [(0xFFFF, 3), (34, 3), (33, 2), (14, 1), (12, 1)]
    )
    def test_as_many_as_fit(self, max_pdu: int, items: int) -> None:
        client = client_of("get", "multiple-references", max_pdu=max_pdu)
        assert client.max_items(REFS) == items


class TestGoodbye:
    def test_releases_and_disconnects(self) -> None:
        heard: list[bytes] = []
        hold(client_of("get").release(), in_turn(b"released"), heard)
        assert heard == [b"release"]

    def test_that_nobody_answers_is_no_error(self) -> None:
        heard: list[bytes] = []
        client = client_of("get", link=Broken())
        hold(client.release(), in_turn(), heard)
        hold(client.clear(), in_turn(), heard)
        assert heard == [b"release", b"disconnect", b"disconnect"]


def test_nothing_is_agreed_on_before_connecting() -> None:
    client = Client(Dlms(), Workarounds(), PlainLink(), Agreed(["get"]))
    assert client.conformance == frozenset()
    hold(client.connect(), in_turn())
    assert client.conformance == {"get"}


class TestMaking:
    @staticmethod
    def device(**dlms: object) -> Device:
        raw = {"deviceName": "x", "connection": {"type": "tcp", "host": "h"}, "dlms": dlms}
        return Device.model_validate(raw)

    def test_of_a_configured_meter(self) -> None:
        client = make_client(self.device(interfaceType="WRAPPER"))
        with pytest.raises(RefusedError):
            hold(client.connect(), lambda request: [WRAPPED_REFUSAL])

    def test_of_an_address_that_does_not_fit(self) -> None:
        with pytest.raises(ConfigError):
            make_client(self.device(physicalAddress=500, addressSize=1))


#: An AARE that says no, in the wrapper of a meter with address 1 for client 16.
_REFUSAL = h(
    "61 1D A1 09 06 07 60 85 74 05 08 01 01 A2 03 02 01 01 A3 05 A1 03 02 01 0D BE 04 04 02 0E 00"
)
WRAPPED_REFUSAL = h("00 01 00 01 00 10") + len(_REFUSAL).to_bytes(2, "big") + _REFUSAL
