"""Identifies the calling meter: by its address, its serial number or its system title.

The secrets of one meter must not be sent to another: if the meters that call one port have
different secrets, all of them are asked by the public client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

from dlms_connector.config import Device, Dlms, ListenConnection
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    DlmsError,
    LinkClosedError,
    LinkError,
    ObjectError,
)
from dlms_connector.link import Call, plain
from dlms_connector.meter import MakeClient, catch_up, converse, public_device
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.services import STRANGER, Directory
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import InvocationCounter, NoPlace, counter_of

_VALUE = 2
_CLASS_DATA = 1


class StrangerError(DlmsError):
    """The caller matches no configured meter."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The system title and the numbers that a caller returned."""

    system_title: bytes | None = None
    numbers: Mapping[Obis, Data] = field(default_factory=dict)

    def __str__(self) -> str:
        told = [f"{obis} is {_shown(number)}" for obis, number in self.numbers.items()]
        if self.system_title:
            told.append(f"its system title is {self.system_title[:16].hex()}")
        return " and ".join(told) or "it tells neither number nor title"


@dataclass(slots=True)
class _Question:
    """Asks with the settings of one device, on behalf of all devices with the same settings."""

    asker: Device
    allow: tuple[str, ...]
    by_title: dict[bytes, str] = field(default_factory=dict)
    by_number: dict[tuple[Obis, str], str] = field(default_factory=dict)

    @property
    def objects(self) -> list[Obis]:
        """The objects with the serial numbers to compare."""
        return list(dict.fromkeys(obis for obis, _ in self.by_number))

    def add(self, connection: ListenConnection) -> None:
        """Add the system title or serial number of a device."""
        if connection.system_title is not None:
            self.by_title[connection.system_title] = connection.endpoint
        else:
            number = _comparable(connection.serial_number or "")
            self.by_number[connection.number_object, number] = connection.endpoint

    def recognise(self, marks: Marks) -> str | None:
        """Return the endpoint of the device with these marks, None if unknown."""
        if (known := self.by_title.get(marks.system_title or b"")) is not None:
            return known
        for obis, number in marks.numbers.items():
            for spelling in _spellings(number):
                if (known := self.by_number.get((obis, _comparable(spelling)))) is not None:
                    return known
        return None


class Introduction:
    """Tells `link.listener` which meter calls: the endpoint of its connection."""

    def __init__(
        self,
        devices: Sequence[Device],
        make_client: MakeClient,
        log: logging.Logger,
        state_dir: Path | NoPlace | None = None,
    ) -> None:
        """`state_dir` is the folder of the invocation counters; None stores them nowhere."""
        self._make_client = _wary(make_client)
        self._log, self._state_dir = log, state_dir
        self._by_address: dict[str, ListenConnection] = {}
        to_ask: list[Device] = []
        for device in devices:
            connection = _connection(device)
            if connection.peer is not None:
                self._by_address[plain(connection.peer)] = connection
            else:
                to_ask.append(device)
        all_public = len(_secrets(to_ask)) > 1
        self._questions = _questions(to_ask, all_public=all_public)
        if all_public:
            log.info(
                "%s: the meters that dial in have different secrets, so they are asked who they "
                "are by the public client", _connection(to_ask[0]).door,
            )  # fmt: skip

    async def __call__(self, call: Call) -> str | None:
        """Return the endpoint of the caller's device; raises DlmsError if it is unknown."""
        address = call.peer
        known = self._by_address.get(address)
        if known is not None and _allows(known.allow, address):
            return known.endpoint
        questions = [each for each in self._questions if _allows(each.allow, address)]
        if not questions:
            raise StrangerError("no configured meter calls from there")
        answers: list[str] = []
        for question in questions:
            try:
                marks = await self._ask(call, question, patient=len(questions) == 1)
            except LinkClosedError:
                raise
            except DlmsError as error:
                answers.append(str(error))
                continue
            if endpoint := question.recognise(marks):
                return endpoint
            answers.append(str(marks))
        raise StrangerError(f"no configured meter: {'; '.join(dict.fromkeys(answers))}")

    async def _ask(self, call: Call, question: _Question, *, patient: bool) -> Marks:
        """Read the caller's marks in a first talk. Raises DlmsError if that fails."""
        await call.open()
        call.drain()
        device = question.asker
        if not patient:  # the next question may be the right one
            impatient = device.connection.model_copy(update={"retries": 0})
            device = device.model_copy(update={"connection": impatient})
        timeout_s = device.connection.timeout_ms / 1000
        pause_s = device.workarounds.pause_between_frames_ms / 1000
        await asyncio.sleep(device.workarounds.pause_after_connect_ms / 1000)
        counter = counter_of(device, self._state_dir, self._log, stranger=True)
        if counter is not None:
            await counter.begin()
            learning = catch_up(counter, device, self._make_client)
            await converse(learning, call, timeout_s=timeout_s, pause_s=pause_s)
            await counter.begin()
        client = self._make_client(device, counter)
        top_up = counter.top_up if counter else None
        try:
            talk = _introduce(client, question.objects)
            return await converse(talk, call, timeout_s=timeout_s, pause_s=pause_s, top_up=top_up)
        except DlmsError:
            if call.is_open:
                with suppress(DlmsError):
                    await converse(client.clear(), call, timeout_s=timeout_s, pause_s=pause_s)
            raise


def _wary(make_client: MakeClient) -> MakeClient:
    """Return clients for strangers: whoever dials in may say the least."""

    def make(
        device: Device,
        counter: InvocationCounter | None = None,
        directory: Directory | None = None,
    ) -> Client:
        client = make_client(device, counter, directory)
        client.allowance = STRANGER
        return client

    return make


def _introduce(client: Client, objects: Sequence[Obis]) -> Talk[Marks]:
    """Read the system title and the numbers of a meter."""
    yield from client.connect()
    numbers: dict[Obis, Data] = {}
    for obis in objects:
        try:
            (number,) = yield from client.get([AttributeRef(_CLASS_DATA, obis, _VALUE)])
        except LinkError:
            raise
        except DlmsError:
            continue
        if not isinstance(number, ObjectError):
            numbers[obis] = number
    title = client.server_system_title
    yield from client.release()
    return Marks(title, numbers)


def _spellings(number: Data) -> Iterator[str]:
    """Yield the ways in which a serial number may be written in a configuration."""
    match number.value:
        case bool():
            return
        case int() | str() as value:
            yield str(value)
        case bytes() as octets:
            yield octets.hex()
            yield octets.decode("latin-1")


def _comparable(number: str) -> str:
    """Remove what may differ between name plate and object: padding, case, leading zeros."""
    text = number.strip("\x00 \t\r\n").casefold()
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _shown(number: Data) -> str:
    texts = [text for text in _spellings(number) if text.strip("\x00 ").isprintable()]
    return repr(texts[-1].strip("\x00 ")[:40]) if texts else "no number"


def _allows(allow: tuple[str, ...], address: str) -> bool:
    caller = ip_address(address)
    return not allow or any(caller in ip_network(one) for one in allow)


def _questions(devices: Sequence[Device], *, all_public: bool) -> list[_Question]:
    """Return the questions for a caller; devices with the same settings share one."""
    questions: list[_Question] = []
    for device in devices:
        connection = _connection(device)
        public = all_public or connection.identify_as == "public"
        asker = _with_told_title(public_device(device) if public else device)
        for question in questions:
            if question.allow == connection.allow and _asks_alike(question.asker, asker):
                break
        else:
            question = _Question(asker, connection.allow)
            questions.append(question)
        question.add(connection)
    return questions


def _with_told_title(device: Device) -> Device:
    """Remove the configured title of the server: the caller's own title is used."""
    dlms = device.dlms.model_copy(update={"server_system_title": None})
    return device.model_copy(update={"dlms": dlms})


def _secrets(devices: Sequence[Device]) -> set[tuple[object, ...]]:
    """Return the different sets of secrets that would be used to ask these devices."""
    return {
        _secret(device.dlms)
        for device in devices
        if _connection(device).identify_as == "device" and any(_secret(device.dlms))
    }


def _secret(dlms: Dlms) -> tuple[object, ...]:
    needed = dlms.authentication != "NONE" or dlms.security != "NONE"
    keys = (
        dlms.password,
        dlms.authentication_key,
        dlms.block_cipher_key,
        dlms.dedicated_key,
        dlms.signing_key,
    )
    return keys if needed else ()


def _asks_alike(one: Device, other: Device) -> bool:
    return (one.dlms, one.workarounds) == (other.dlms, other.workarounds)


def _connection(device: Device) -> ListenConnection:
    connection = device.connection
    assert isinstance(connection, ListenConnection)
    return connection
