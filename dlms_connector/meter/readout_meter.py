"""A meter that speaks no DLMS: a poll is one readout, in which the items are looked up.

IEC 62056-21 modes A to E. There is nothing to write, no profile, and no call reaches it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from dlms_connector.config import Device
from dlms_connector.errors import CommandError, DlmsError, LinkError, ObjectError
from dlms_connector.hints import Symptom
from dlms_connector.link import Link
from dlms_connector.meter.conversations import Conversations
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.meter.exchange import Tap
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import Wanted
from dlms_connector.protocol import Client
from dlms_connector.protocol.readout import DataSet, data_sets, find, read_out
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Failure, Poll, Reading, Value

#: A long readout at 300 baud takes minutes.
_BUDGET_S = 600.0
#: Attributes that a data set has: its value, and the time at which it was captured.
_VALUE, _CAPTURED = 2, 5
_DATA = 1
_OBJECT_UNDEFINED = 4
_NUMBER = re.compile(r"[-+]?[0-9]{1,32}(?:\.[0-9]{1,32})?")
#: What meters write where there is no value.
_NOTHING = re.compile(r"[-?. ]*")


class ReadoutSession:
    """What takes the place of an association: nothing is kept between two readouts."""

    quiet_until = inactivity_s = 0.0
    is_open = False

    def __init__(self, talks: Conversations, link: Link) -> None:
        self._talks, self._link = talks, link
        #: Set this to begin the next turn with a new connection.
        self.renew = False

    def trace(self, tap: Tap | None) -> None:
        """Let a tap see what is sent and received from now on; None ends that."""
        self._talks.tap = tap

    async def release(self) -> None:
        """Do nothing: the meter has ended the session by itself."""

    async def hang_up(self) -> None:
        """Close the link."""
        await self._talks.hang_up()
        await self._link.close()


class ReadoutMeter:
    """Reads out one meter over a link that the caller owns and lends for a turn, as `Meter` does.

    `open_link` opens the link and raises ConnectError; `now_ms` is the Unix time in ms.
    """

    def __init__(
        self,
        device: Device,
        link: Link,
        *,
        open_link: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
        log: logging.Logger,
    ) -> None:
        self.device = device
        self.statistics = Statistics()
        self._talks = Conversations(device, link, self.statistics, open_link)
        self.session = ReadoutSession(self._talks, link)
        self._now_ms, self._log = now_ms, log

    def keeps(self, idle_s: float) -> bool:
        """Whether to keep an association: there is none."""
        return False

    def forget(self) -> None:
        """Forget nothing: a readout tells all anew."""

    def doubt_scalers(self) -> None:
        """Do nothing: a readout has no scalers."""

    def dismantle(self) -> None:
        """Do nothing: its parts do not hold each other."""

    async def poll(self, due: Sequence[Wanted], *, hurried: bool = False) -> Outcome:
        """Read the meter out and return what is due; never raises DlmsError."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        session, talks = self.session, self._talks
        talks.patience.begin(hurried=hurried)
        try:
            if session.renew:
                await session.hang_up()
                session.renew = False
            await talks.open()
            text = await talks.hold(self._readout(), start + _BUDGET_S)
        except DlmsError as error:
            if isinstance(error, LinkError):
                await session.hang_up()
            self.statistics.polls_failed += 1
            return Outcome(poll=_nothing(due, error), unread=tuple(due), error=error)
        now_ms = self._now_ms()
        self.statistics.polls_ok += 1
        self.statistics.poll_ms = round((loop.time() - start) * 1000)
        return Outcome(poll=readings(due, tuple(data_sets(text)), now_ms))

    async def run(
        self, job: Callable[[Client], Talk[object]], *, timeout_s: float, hurried: bool = False
    ) -> object:
        """Raise CommandError: such a meter takes no requests."""
        raise CommandError(
            f"{self.device.device_name} is read out (dlms.interfaceType IEC_62056_21): it takes no "
            "calls, only its items are read"
        )

    def _readout(self) -> Talk[str]:
        mode_e = self.device.dlms.mode_e
        return read_out(
            mode_e.address,
            retries=self.device.connection.retries,
            start_baudrate=mode_e.start_baudrate,
            max_baudrate=mode_e.max_baudrate,
        )


def readings(due: Sequence[Wanted], sets: Sequence[DataSet], now_ms: int) -> Poll:
    """Return the items that the data sets tell, read at `now_ms`; the others are failures."""
    told: list[Reading] = []
    failures: list[Failure] = []
    for one in due:
        item = one.item
        data_set = find(sets, item.obis)
        position = {_VALUE: 0, _CAPTURED: 1}.get(item.attribute)
        if data_set is None or position is None or position >= len(data_set.values):
            failures.append(_failure(one, _undefined(one, data_set, sets)))
            continue
        text, unit = data_set.values[position]
        value = _value(one, text)
        if value is None or item.has_no_value(_raw(text)):
            continue
        told.append(
            Reading(
                key=item.key,
                kind=one.kind,
                obis=item.obis,
                class_id=item.class_id,
                attribute=item.attribute,
                value=value,
                unit=unit if isinstance(value, Decimal) else None,
                ts_ms=now_ms,
            )
        )
    return Poll(readings=tuple(told), failures=tuple(failures))


def _value(one: Wanted, text: str) -> Value:
    """Return a number as it is written, scaled if the item says so; else the text.

    Numbers of data objects are identifiers: they keep their leading zeros.
    """
    item = one.item
    if _NOTHING.fullmatch(text):
        return None
    identifies = item.class_id == _DATA or item.format == "text"
    if identifies or item.attribute != _VALUE or not _NUMBER.fullmatch(text):
        return text
    return Decimal(text).scaleb(item.scaler or 0)


def _raw(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() else text


def _undefined(one: Wanted, data_set: DataSet | None, sets: Sequence[DataSet]) -> ObjectError:
    error = ObjectError(f"reading {one.value} in the readout", _OBJECT_UNDEFINED)
    if data_set is not None:
        count = len(data_set.values)
        return error.showing(Symptom.NO_SUCH_READOUT_VALUE, code=data_set.code, count=count)
    codes = ", ".join(each.code for each in sets[:40])
    return error.showing(Symptom.NOT_IN_READOUT, codes=codes or "none")


def _failure(one: Wanted, error: DlmsError) -> Failure:
    return Failure(key=one.item.key, kind=one.kind, obis=one.item.obis, error=error)


def _nothing(due: Sequence[Wanted], error: DlmsError) -> Poll:
    return Poll(readings=(), failures=tuple(_failure(one, error) for one in due))
