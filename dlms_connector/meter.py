"""One association with one meter: opened when needed, kept while it is worth it, ended cleanly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.diagnostics import Statistics, counted
from dlms_connector.errors import DlmsError, LinkError, ObjectError, ProtocolError, ServiceError
from dlms_connector.exchange import converse
from dlms_connector.link import Link
from dlms_connector.outcome import Outcome, outcome
from dlms_connector.plan import CIPHERING_OVERHEAD, Limits, Wanted
from dlms_connector.polling import Learned, Round
from dlms_connector.protocol.axdr import Data
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

#: After so much silence a meter drops the association: the defaults of the HDLC setup
#: (class 23) and of the TCP-UDP setup (class 41), IEC 62056-6-2.
_INACTIVITY_S = {"HDLC": 120.0, "HDLC_WITH_MODE_E": 120.0, "WRAPPER": 180.0}
_MARGIN = 0.9
#: A poll may take this long even if so many requests and repetitions would not.
_LEAST_BUDGET_S = 60.0
#: Requests to reckon with beside the reads: DISC, SNRM, AARQ and a handshake, twice.
_HANDSHAKES = 8


class Meter:
    """Reads one meter over a link that somebody else owns and lends for a turn.

    `open_link` opens the link and raises ConnectError; `make_client` makes the client of a
    new association; `now_ms` is the Unix time in ms; `shared` says that other meters talk
    over the same link. Only one method may run at a time.
    """

    def __init__(
        self,
        device: Device,
        link: Link,
        *,
        open_link: Callable[[], Awaitable[None]],
        make_client: Callable[[], Client],
        now_ms: Callable[[], int],
        log: logging.Logger,
        shared: bool = False,
    ) -> None:
        self.device = device
        self.statistics = Statistics()
        self.learned = Learned(
            device.device_name, log, single_reads=device.workarounds.single_reads
        )
        self._link = link
        self._open_link = open_link
        self._make_client = make_client
        self._now_ms = now_ms
        self._shared = shared
        #: Set to have the next turn begin with a new association.
        self.renew = False
        self._client: Client | None = None
        self._talking = False
        # Whoever ran before us may have left an association open.
        self._unclean = True
        self._lost = False
        self._quiet_until = 0.0
        self._heard = 0.0
        self._proven = False

    @property
    def associated(self) -> bool:
        """Whether an association is open, as far as one can know."""
        return self._client is not None and self._link.is_open

    @property
    def quiet_until(self) -> float:
        """Until when (`loop.time()`) the meter wants no talk after an unclean end."""
        return self._quiet_until

    def keeps(self, idle_s: float) -> bool:
        """Whether to keep the association for the next poll in so many seconds."""
        keep = self.device.connection.keep_open
        if keep == "auto":
            return not self._shared and idle_s < self._inactivity_s * _MARGIN
        return keep

    async def poll(self, due: Sequence[Wanted]) -> Outcome:
        """Read what is due, reconnecting once if the association breaks; never raises DlmsError."""
        loop = asyncio.get_running_loop()
        start, turn = loop.time(), Round(due, self.learned, self._now_ms)
        broken, down = await self._read(turn, start + self._budget_s(len(due)))
        result = outcome(due, turn.answers, self.learned.scalers, broken=broken, down=down)
        if result.error:
            self.statistics.polls_failed += 1
        else:
            self.statistics.polls_ok += 1
            self.statistics.poll_ms = round((loop.time() - start) * 1000)
        return result

    async def run(self, job: Callable[[Client], Talk[T]], *, timeout_s: float) -> T:
        """Hold a conversation within the association; raises DlmsError.

        It is not repeated if the association breaks: it may have been carried out.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        client = await self._associate(end)
        return await self._ask(job(client), end)

    async def release(self) -> None:
        """Say goodbye if there is an association; never raises DlmsError."""
        client, self._client = self._client, None
        if client is None or not self._link.is_open:
            return
        await asyncio.sleep(self.device.workarounds.pause_before_disconnect_ms / 1000)
        loop = asyncio.get_running_loop()
        # After a conversation that was cut off only a DISC is sure to be understood.
        goodbye = client.clear() if self._talking else client.release()
        try:
            await self._converse(goodbye, loop.time() + 2 * self._timeout_s)
            self._unclean = False
        except LinkError:
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the link without a goodbye; the meter may want quiet afterwards."""
        if self._client is not None:
            self._lost = True
        self._client = None
        self._talking = False
        await self._link.close()
        quiet = self.device.workarounds.quiet_after_failure_ms / 1000
        self._quiet_until = asyncio.get_running_loop().time() + quiet

    async def _read(self, turn: Round, end: float) -> tuple[DlmsError | None, bool]:
        """Ask until all is answered; return what broke, and whether that is an outage."""
        reconnects = min(1, self.device.connection.retries)
        while True:
            try:
                client = await self._associate(end)
            except DlmsError as error:
                return error, True
            try:
                await turn.read(partial(self._get, client, end), self._limits(client))
            except LinkError as error:
                over = reconnects == 0 or asyncio.get_running_loop().time() >= end
                if over or (self._shared and self._quiet_s > 0):
                    return error, turn.data_count == 0
            else:
                return None, False
            reconnects -= 1

    async def _get(
        self, client: Client, end: float, refs: Sequence[AttributeRef]
    ) -> Sequence[Data | ObjectError]:
        try:
            return await self._ask(client.get(refs), end)
        except ServiceError as error:
            if self._proven:
                raise
            # A meter that dropped an idle association answers like this, not with silence.
            await self.hang_up()
            raise ProtocolError("reading over an idle association", str(error)) from error

    async def _ask(self, talk: Talk[T], end: float) -> T:
        """Hold a conversation within the association; a broken one is hung up."""
        try:
            result = await self._converse(talk, end)
        except LinkError:
            await self.hang_up()
            raise
        self._proven = True
        return result

    async def _converse(self, talk: Talk[T], end: float) -> T:
        link, statistics = self._link, self.statistics
        loop = asyncio.get_running_loop()
        bytes_in, bytes_out = link.bytes_in, link.bytes_out
        self._talking = True
        try:
            result = await converse(
                counted(talk, statistics),
                link,
                timeout_s=self._timeout_s,
                pause_s=self.device.workarounds.pause_between_frames_ms / 1000,
                overall_s=max(0.0, end - loop.time()),
            )
        except DlmsError:
            self._talking = False
            raise
        finally:
            statistics.bytes_in += link.bytes_in - bytes_in
            statistics.bytes_out += link.bytes_out - bytes_out
        self._talking = False
        self._heard = loop.time()
        return result

    async def _associate(self, end: float) -> Client:
        """Return the client of an open association, opening one if there is none."""
        loop = asyncio.get_running_loop()
        idle_s = loop.time() - self._heard
        gone = not self._link.is_open or idle_s > self._inactivity_s
        if self._client is not None and (gone or self.renew):
            await self.hang_up()
        self.renew = False
        if self._client is not None:
            self._proven = False
            return self._client
        await asyncio.sleep(max(0.0, self._quiet_until - loop.time()))
        client = self._make_client()
        await self._reach(client, end)
        try:
            await self._converse(client.connect(), end)
        except LinkError:
            await self.hang_up()
            raise
        except DlmsError:
            # The meter is there and said no: end what was opened half-way.
            with suppress(DlmsError):
                await self._converse(client.clear(), min(end, loop.time() + self._timeout_s))
            await self.hang_up()
            raise
        self._client, self._unclean, self._proven = client, True, True
        if self._lost:
            self.statistics.reconnects += 1
            self._lost = False
        return client

    async def _reach(self, client: Client, end: float) -> None:
        """Open the link and end what an earlier session may have left behind."""
        await self._open()
        if self._unclean:
            try:
                await self._converse(client.clear(), end)
            except LinkError:
                # Some meters hang up when they hear a DISC they did not expect.
                await self._link.close()
                await self._open()

    async def _open(self) -> None:
        if self._link.is_open:
            self._link.drain()
            return
        await self._open_link()
        await asyncio.sleep(self.device.workarounds.pause_after_connect_ms / 1000)

    def _limits(self, client: Client) -> Limits:
        ciphered = self.device.dlms.security != "NONE"
        return self.learned.limits(
            client.max_pdu,
            CIPHERING_OVERHEAD if ciphered else 0,
            lists="multiple-references" in client.conformance,
        )

    def _budget_s(self, items: int) -> float:
        """How long a poll may take in all, so that no meter can hold the line for ever."""
        tries = self.device.connection.retries + 1
        return max(_LEAST_BUDGET_S, self._timeout_s * tries * (2 * items + _HANDSHAKES))

    @property
    def _timeout_s(self) -> float:
        return self.device.connection.timeout_ms / 1000

    @property
    def _quiet_s(self) -> float:
        return self.device.workarounds.quiet_after_failure_ms / 1000

    @property
    def _inactivity_s(self) -> float:
        return _INACTIVITY_S[self.device.dlms.interface_type]
