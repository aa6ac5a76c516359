"""Handles the platform's calls: parse, check permission, run on the meter's line, answer.

Everything here runs in the meters' loop. Every call gets an answer, also after an error;
nothing is raised.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from logging import Logger
from typing import Any

from dlms_connector.commands.audit import Audit, Event, shortened
from dlms_connector.commands.meters import Meters
from dlms_connector.commands.methods import METHODS
from dlms_connector.commands.object_calls import changes, configured
from dlms_connector.commands.operations import Written
from dlms_connector.commands.patience import PATIENCE_S, Patience
from dlms_connector.commands.request import DEFAULT_TIMEOUT_S, Arguments, Request
from dlms_connector.commands.work import Context, Local, Method, Outcome, Work
from dlms_connector.config import RpcMethod
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError, DlmsError, LinkError
from dlms_connector.fleet import UnavailableError
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value
from dlms_connector.within import within

#: Most calls per meter that wait or run; further calls are refused at once.
MOST_WAITING = 100

UNCERTAIN = "the meter may have carried it out all the same: look at it before calling again"
STOPPED = "the connector was stopped; the call may have been carried out or not"
_NESTED = "the parameters are nested too deeply"

#: Takes the answer to one call.
Answer = Callable[[Mapping[str, Any]], None]


class Dispatcher:
    """Carries out calls to the devices of one connector.

    `json_value` converts a value to JSON that the gateway can send. `more` are methods in
    addition to `METHODS`. `wrote` is called with every attribute that a call may have written, and
    every method that it may have invoked.
    """

    def __init__(
        self,
        contexts: Mapping[str, Context],
        meters: Meters,
        *,
        json_value: Callable[[Value], Any],
        audit: Audit,
        log: Logger,
        more: Mapping[str, Method] | None = None,
        wrote: Callable[[str, AttributeRef | MethodRef], None] = lambda device, ref: None,
    ) -> None:
        self._contexts = contexts
        self._meters, self._json_value = meters, json_value
        self._audit, self._log, self._wrote = audit, log, wrote
        self._methods = {
            **METHODS,
            "reconnect": Method(self._reconnecting),
            "getStatistics": Method(self._counting),
            **(more or {}),
        }
        #: How many calls wait or run, by device.
        self._waiting = Counter[str]()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, contexts: Mapping[str, Context]) -> None:
        """Carry out the calls to these devices from now on."""
        self._contexts = contexts  # another mapping: any thread may look at it
        self._waiting = +self._waiting

    def call(self, request: Request, answer: Answer, *, age_s: float = 0.0) -> None:
        """Take a call that came `age_s` ago; `answer` is called once, later."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._answer(request, answer, loop.time() - age_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def knows(self, name: str) -> bool:
        """Whether any device has a method of this name."""
        return name in self._methods or bool(self._configured(name))

    def changes(self, name: str) -> bool:
        """Whether a method changes the meter of any device."""
        method = self._methods.get(name)
        return bool(method and method.changes) or any(map(changes, self._configured(name)))

    def _configured(self, name: str) -> list[RpcMethod]:
        own = (one for context in self._contexts.values() for one in context.device.server_side_rpc)
        return [one for one in own if one.method == name]

    async def _answer(self, request: Request, answer: Answer, came: float) -> None:
        try:
            content = {"result": self._json_value(await self._carry_out(request, came))}
        except DlmsError as error:
            content = {"error": _sentence(request.device, error)}
        except asyncio.CancelledError:
            answer({"error": f"{request.device}: {STOPPED}"})
            raise
        except RecursionError:
            content = {"error": f"{request.device}: {_NESTED}"}
        except Exception:
            self._log.exception("%s: %s failed", request.device, request.who)
            content = {"error": f"{request.device}: a fault of the connector; see its log"}
        answer(content)

    def refusal(self, request: Request) -> str | None:
        """Return why a call cannot be done, None if it can be tried; for any thread."""
        try:
            self._understand(request)
        except DlmsError as error:
            return _sentence(request.device, error)
        except RecursionError:
            return f"{request.device}: {_NESTED}"
        return None

    async def _carry_out(self, request: Request, came: float) -> Value:
        """Return the result of a call. Raises DlmsError."""
        work = self._understand(request)
        self._waiting[request.device] += 1
        try:
            return await self._do(request, work, came)
        finally:
            self._waiting[request.device] -= 1

    def _understand(self, request: Request) -> Work | Local:
        """Return the work of a call; note refused calls that would change the meter."""
        context = self._contexts.get(request.device)
        if context is None:
            raise CommandError("this connector polls no such device")
        work = self._work(context, request)
        with self._noted(request, work.changes):
            if self._waiting[request.device] >= MOST_WAITING:
                raise CommandError(f"{MOST_WAITING} calls are waiting already; try again later")
        return work

    def _work(self, context: Context, request: Request) -> Work | Local:
        for own in context.device.server_side_rpc:
            if own.method == request.method:
                with self._noted(request, changes(own)):
                    return configured(context, own, request.params)
        method = self._methods.get(request.method)
        if method is None:
            names = [own.method for own in context.device.server_side_rpc]
            names += [name for name in self._methods if name not in names]
            raise CommandError(f"no such method; there are {', '.join(names)}")
        with self._noted(request, method.changes):
            arguments = Arguments.read(request.method, request.params)
            work = method.build(context, arguments)
            arguments.done()
            return work

    @contextmanager
    def _noted(self, request: Request, changes: bool) -> Iterator[None]:
        try:
            yield
        except CommandError as error:
            if changes:
                what = "not carried out"
                self._audit.note(Event(request.device, request.who, what, f"refused: {error}"))
            raise

    async def _do(self, request: Request, work: Work | Local, came: float) -> Value:
        """Carry out the work; record changes of the meter in the audit. Raises DlmsError."""
        trace = _Trace()
        try:
            outcome = await self._outcome(request, work, trace, came)
        except DlmsError as error:
            told = _told(work.what, error)
            if not work.changes:
                raise told from error
            done = "unknown" if isinstance(error, LinkError) and trace.changed else "failed"
            self._audit.note(_event(request, work, f"{done}: {error}"))
            if done == "failed":
                raise told from error
            raise CommandError(f"{_hinted(told)}; {UNCERTAIN}") from error
        except asyncio.CancelledError:
            if work.changes:
                self._audit.note(_event(request, work, f"unknown: {STOPPED}"))
            raise
        if isinstance(outcome, Written):
            event = _event(request, work, "done")
            self._audit.note(replace(event, old=outcome.old, new=outcome.new))
            return outcome.new
        if work.changes:
            self._audit.note(replace(_event(request, work, "done"), new=outcome))
        return outcome

    async def _outcome(
        self, request: Request, work: Work | Local, trace: _Trace, came: float
    ) -> Outcome:
        seconds = request.patience_s or request.timeout_s or PATIENCE_S
        patience = Patience(work.what, came, seconds) if work.changes else None
        if patience is not None:
            patience.require()
        if isinstance(work, Local):
            return await self._locally(work, request.timeout_s or DEFAULT_TIMEOUT_S, patience)
        timeout_s = request.timeout_s or work.timeout_s or DEFAULT_TIMEOUT_S
        if patience is not None:
            work.attempt.permit = patience.require

        def talk(client: Client) -> Talk[Outcome]:
            work.attempt.permit()
            trace.begin(client)
            return (yield from work.talk(client))

        try:
            future = self._meters.submit(request.device, talk, timeout_s=timeout_s)
            if patience is not None:
                patience.watch(future, work.attempt)
            return await future
        finally:
            # Also after a failure: the meter may have carried out the write.
            if work.writes is not None and work.attempt.begun:
                self._follow(request.device, work.writes)

    def _follow(self, device: str, ref: AttributeRef | MethodRef) -> None:
        try:
            self._wrote(device, ref)
        except Exception:  # what follows a change must not cost its answer
            self._log.exception("%s: %s: the new value is not read", device, ref)

    async def _locally(self, work: Local, timeout_s: float, patience: Patience | None) -> Value:
        try:
            return await within(patience.left_s if patience else timeout_s, work.run())
        except asyncio.TimeoutError:
            if patience is not None:
                raise patience.error from None
            raise CommandError(f"{work.what}: not done within {timeout_s:g} s") from None

    def _reconnecting(self, context: Context, arguments: Arguments) -> Local:
        async def reconnect() -> Value:
            self._meters.reconnect(context.device.device_name)
            return "reconnecting"

        return Local(run=reconnect, what="reconnecting")

    def _counting(self, context: Context, arguments: Arguments) -> Local:
        async def count() -> Value:
            name = context.device.device_name
            counters = self._meters.statistics(name).telemetry()
            history: list[Value] = [one.shown() for one in self._meters.history(name)]
            return {**counters, "profiles": history} if history else counters

        return Local(run=count, what="counting")


class _Trace:
    """Records whether a conversation got as far as a SET or ACTION request."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._before = 0

    def begin(self, client: Client) -> None:
        """Note that a conversation with a client begins; it may be a repetition."""
        self._client, self._before = client, client.changes

    @property
    def changed(self) -> bool:
        """Whether SET or ACTION was sent: without a response, its effect is then unknown."""
        return self._client is not None and self._client.changes > self._before


def _event(request: Request, work: Work | Local, result: str) -> Event:
    """Return the audit event of a call, with old and new value as far as they are known."""
    what = work.what
    if not isinstance(work, Work):
        return Event(request.device, request.who, what, result)
    if work.argument is not None:
        what += f" with {work.argument}"
    return Event(request.device, request.who, what, result, work.attempt.old, work.attempt.new)


def _told(what: str, error: DlmsError) -> DlmsError:
    """Return the error for the caller; add the work to link errors, which do not name it."""
    named = not isinstance(error, LinkError) or isinstance(error, UnavailableError)
    if named or str(error).startswith(what):
        return error
    return CommandError(f"{what}: {error}").showing(*error.symptoms, **error.facts)


def _hinted(error: DlmsError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)


def _sentence(device: str, error: DlmsError) -> str:
    text = shortened(f"{device}: {error}")
    return f"{text}; {error.hint}" if error.hint else text
