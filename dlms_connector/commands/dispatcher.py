"""Calls of the platform: understood, allowed, carried out on the meter's line, answered once.

Everything here runs in the meters' loop. Whatever happens, a call gets one answer and
nothing is raised.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from logging import Logger
from typing import Any, Protocol, TypeVar

from dlms_connector.commands.audit import Audit, Event
from dlms_connector.commands.methods import METHODS, configured
from dlms_connector.commands.operations import Written
from dlms_connector.commands.request import Arguments, Request
from dlms_connector.commands.work import Context, Converter, Work
from dlms_connector.config.model import Device
from dlms_connector.diagnostics import Statistics
from dlms_connector.errors import CommandError, DlmsError
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

T = TypeVar("T")

#: Calls of one meter that wait or are under way; more are refused at once.
MOST_WAITING = 100
#: So many answered calls are remembered, in case the platform repeats one.
_REMEMBERED = 1000

#: Sends an answer: device, request id, content.
Reply = Callable[[str, int, Mapping[str, Any]], None]


class Meters(Protocol):
    """What of the fleet calls need."""

    def submit(
        self, device_name: str, job: Callable[[Client], Talk[T]], *, timeout_s: float
    ) -> asyncio.Future[T]:
        """Hold a conversation ahead of queued polls; the future fails with a DlmsError."""
        ...

    def reconnect(self, device_name: str) -> None:
        """Poll a meter at once over a new association."""
        ...

    def statistics(self, device_name: str) -> Statistics:
        """Return a meter's counters."""
        ...


class Dispatcher:
    """Answers calls to the devices of one connector.

    `json_value` turns an exact value into what the gateway can send.
    """

    def __init__(
        self,
        devices: Mapping[str, Device],
        converters: Mapping[str, Converter],
        meters: Meters,
        *,
        reply: Reply,
        json_value: Callable[[Value], Any],
        audit: Audit,
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        self._contexts = {
            name: Context(device, converters[name], now) for name, device in devices.items()
        }
        self._meters, self._reply, self._json_value = meters, reply, json_value
        self._audit, self._log = audit, log
        self._waiting = dict.fromkeys(devices, 0)
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Methods that are about a meter and need no conversation with it.
        self._local: Mapping[str, Callable[[str], Value]] = {
            "reconnect": self._reconnect,
            "getStatistics": self._get_statistics,
        }

    def call(self, request: Request) -> None:
        """Take a call; its answer goes out later. A repeated call is answered once."""
        key = (request.device, request.id)
        if key in self._seen:
            self._log.debug("%s: call %d came again", *key)
            return
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            content = {"result": self._json_value(await self._carry_out(request))}
        except DlmsError as error:
            content = {"error": _sentence(request.device, error)}
        except Exception:
            self._log.exception("%s: %s failed", request.device, request.method)
            content = {"error": f"{request.device}: {request.method}: a fault of the connector"}
        try:
            self._reply(request.device, request.id, content)
        except Exception:
            self._log.exception("%s: the answer could not be sent", request.device)

    async def _carry_out(self, request: Request) -> Value:
        """Return the result of a call. Raises DlmsError."""
        device = request.device
        context = self._contexts.get(device)
        if context is None:
            raise CommandError("this connector polls no such device")
        if self._waiting[device] >= MOST_WAITING:
            raise CommandError(f"{MOST_WAITING} calls are waiting already; try again later")
        who = f"call {request.id} {request.method}"
        try:
            work = self._understand(context, request)
        except CommandError as error:
            self._audit.note(Event(device, who, "refused", str(error)))
            raise
        if not isinstance(work, Work):
            return work
        self._waiting[device] += 1
        try:
            return await self._hold(device, who, work, request.timeout_s)
        finally:
            self._waiting[device] -= 1

    def _understand(self, context: Context, request: Request) -> Work | Value:
        """Return what a call is to do, or its result where no meter is needed."""
        for method in context.device.server_side_rpc:
            if method.method == request.method:
                return configured(context, method, request.params)
        if local := self._local.get(request.method):
            return local(request.device)
        build = METHODS.get(request.method)
        if build is None:
            own = [method.method for method in context.device.server_side_rpc]
            names = ", ".join([*own, *METHODS, *self._local])
            raise CommandError(f"{request.method}: no such method; there are {names}")
        arguments = Arguments.read(request.method, request.params)
        work = build(context, arguments)
        arguments.done()
        return work

    async def _hold(self, device: str, who: str, work: Work, timeout_s: float) -> Value:
        """Hold the conversation; what changes the meter is written down. Raises DlmsError."""
        timeout_s = max(timeout_s, work.timeout_s or 0.0) if work.timeout_s else timeout_s
        try:
            outcome = await self._meters.submit(device, work.talk, timeout_s=timeout_s)
        except DlmsError as error:
            if work.changes:
                self._audit.note(Event(device, who, work.what, f"failed: {error}"))
            raise
        if isinstance(outcome, Written):
            self._audit.note(Event(device, who, work.what, "done", outcome.old, outcome.new))
            return outcome.new
        if work.changes:
            self._audit.note(Event(device, who, work.what, "done", new=outcome))
        return outcome

    def _reconnect(self, device: str) -> Value:
        self._meters.reconnect(device)
        return "reconnecting"

    def _get_statistics(self, device: str) -> Value:
        return self._meters.statistics(device).telemetry()


def _sentence(device: str, error: DlmsError) -> str:
    text = f"{device}: {error}"
    return f"{text}; {error.hint}" if error.hint else text
