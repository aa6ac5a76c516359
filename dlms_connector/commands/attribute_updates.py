"""Writes the platform's shared attributes to the meter until the meter holds them.

The platform repeats shared attributes at every start and after every renaming. A value that
the meter is known to hold is not written again. A value that could not be written because
the meter was offline is written when it is back. The platform's value has priority: if a
call wrote another value, the platform's value is written again when the platform repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from logging import Logger
from typing import Any

from dlms_connector.commands.audit import Audit, Event, shortened
from dlms_connector.commands.meters import Meters
from dlms_connector.commands.operations import Attempt, Written, read, write
from dlms_connector.commands.work import Context
from dlms_connector.config import AttributeUpdate, Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    TEMPORARY_FAILURE,
    DlmsError,
    LinkError,
    ObjectError,
    RefusedError,
)
from dlms_connector.platform_keys import LAST_WRITE_ERROR
from dlms_connector.reading import Value

_TIMEOUT_S = 30.0
#: For a busy line; an offline meter is tried again as soon as it is back online.
_RETRY_S, _LONGEST_RETRY_S = 10.0, 300.0

#: Reports the values that a device holds now by attribute key, and refusals by ERROR_KEY.
Report = Callable[[Device, Mapping[str, Value]], None]

#: The client attribute with the values that are refused, and why; empty if there are none.
ERROR_KEY = LAST_WRITE_ERROR.name


class AttributeUpdates:
    """Keeps configured attributes of meters at the values that the platform wants.

    Everything runs in the meters' loop; nothing is raised.
    """

    def __init__(
        self,
        contexts: Mapping[str, Context],
        meters: Meters,
        *,
        report: Report,
        audit: Audit,
        log: Logger,
    ) -> None:
        self._contexts = contexts
        self._meters, self._report, self._audit, self._log = meters, report, audit, log
        self._held: dict[tuple[str, str], Any] = {}
        self._wanted: dict[tuple[str, str], Any] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._told: dict[str, str] = {}
        self._busy: set[str] = set()
        self._retries: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, contexts: Mapping[str, Context]) -> None:
        """Keep the attributes of these devices from now on.

        Of a device that is configured otherwise it is not known any more what it holds; what is
        still to be written to it stays so, if it is configured yet.
        """
        before, self._contexts = self._contexts, contexts
        for device in before.keys() - contexts.keys():
            if timer := self._timers.pop(device, None):
                timer.cancel()
        changed = {name for name, context in before.items() if contexts.get(name) is not context}
        for each in (self._refused, self._told, self._retries):
            for device in each.keys() & changed:
                del each[device]
        self._held = {key: value for key, value in self._held.items() if key[0] not in changed}
        self._wanted = {key: value for key, value in self._wanted.items() if self._has(*key)}

    def _has(self, device: str, key: str) -> bool:
        context = self._contexts.get(device)
        updates = context.device.attribute_updates if context is not None else ()
        return any(one.key == key for one in updates)

    def update(self, device: str, data: Mapping[str, Any]) -> None:
        """Take shared attributes; ignore those that are not configured."""
        context = self._contexts.get(device)
        if context is None:
            return
        for one in context.device.attribute_updates:
            key = device, one.key
            if one.key not in data:
                continue
            # If another value is pending, a return to the held value must be written too.
            if key in self._wanted or self._held.get(key, _NOTHING) != data[one.key]:
                self._wanted[key] = data[one.key]
        self.retry(device)

    @property
    def wanted(self) -> dict[str, dict[str, Any]]:
        """The values that are still to be written, by device and key."""
        wanted: dict[str, dict[str, Any]] = {}
        for (device, key), value in list(self._wanted.items()):
            wanted.setdefault(device, {})[key] = value
        return wanted

    def retry(self, device: str) -> None:
        """Write the pending values of a meter, which may be online now."""
        if device in self._busy or not any(name == device for name, _ in self._wanted):
            return
        if timer := self._timers.pop(device, None):
            timer.cancel()
        self._busy.add(device)
        self._spawn(self._write_all(self._contexts[device]))

    def wrote(self, device: str, ref: AttributeRef) -> None:
        """Report the value of an attribute anew, as something else has written it."""
        context = self._contexts[device]
        for one in context.device.attribute_updates:
            if (one.class_id, one.obis, one.attribute) == (ref.class_id, ref.obis, ref.attribute):
                self._held.pop((device, one.key), None)
                self._spawn(self._show(context, one))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self, context: Context, update: AttributeUpdate) -> None:
        """Report the value that the meter holds now."""
        device = context.device.device_name
        ref = AttributeRef(update.class_id, update.obis, update.attribute)
        job = partial(read, ref=ref, options=context.options, scaler=update.scaler)
        try:
            value: Value = await self._meters.submit(device, job, timeout_s=_TIMEOUT_S)
        except DlmsError as error:
            self._log.debug("%s: %s is not reported: %s", device, update.key, error)
        else:
            self._report(context.device, {update.key: _told(value)})

    async def _write_all(self, context: Context) -> None:
        device = context.device.device_name
        try:
            while pending := self._pending(context):
                for update, value in pending:
                    if not await self._write(context, update, value):
                        self._later(device)
                        return
            self._retries.pop(device, None)
        except Exception:
            self._log.exception("%s: a shared attribute could not be written", device)
            for update in context.device.attribute_updates:
                self._wanted.pop((device, update.key), None)
        finally:
            self._busy.discard(device)

    def _later(self, device: str) -> None:
        count = self._retries[device] = self._retries.get(device, 0) + 1
        wait_s = min(_RETRY_S * 2 ** min(count - 1, 10), _LONGEST_RETRY_S)
        loop = asyncio.get_running_loop()
        self._timers[device] = loop.call_later(wait_s, self.retry, device)

    def _pending(self, context: Context) -> list[tuple[AttributeUpdate, Any]]:
        device = context.device.device_name
        return [
            (update, self._wanted[device, update.key])
            for update in context.device.attribute_updates
            if (device, update.key) in self._wanted
        ]

    async def _write(self, context: Context, update: AttributeUpdate, value: Any) -> bool:
        """Write one attribute; false if the meter is offline or busy: to be tried again."""
        device, key = context.device.device_name, (context.device.device_name, update.key)
        ref = AttributeRef(update.class_id, update.obis, update.attribute)
        who, what = f"shared attribute {update.key}", f"writing {ref}"
        attempt = Attempt()
        job = partial(
            write,
            ref=ref,
            encode=context.encoder(ref, value, update.type),
            options=context.options,
            scaler=update.scaler,
            only_if_different=True,
            attempt=attempt,
        )
        try:
            written: Written = await self._meters.submit(device, job, timeout_s=_TIMEOUT_S)
        except (LinkError, RefusedError) as error:
            if attempt.begun:  # the meter may hold it now; then it is not written again
                event = Event(device, who, what, f"unknown: {error}", attempt.old, attempt.new)
                self._audit.note(event)
            self._log.debug("%s: %s is written later: %s", device, update.key, error)
            return False
        except DlmsError as error:
            if isinstance(error, ObjectError) and error.code == TEMPORARY_FAILURE:
                self._log.debug("%s: %s is written later: %s", device, update.key, error)
                return False
            self._done(key, value)
            event = Event(device, who, what, f"refused: {error}", attempt.old, attempt.new)
            self._audit.note(event)
            refused = self._refused.setdefault(device, {})
            refused[update.key] = f"{update.key}: {shortened(str(error))}"
            self._tell(context, {})
            return True
        self._done(key, value)
        if written.changed:
            self._audit.note(Event(device, who, what, "done", written.old, written.new))
        self._refused.get(device, {}).pop(update.key, None)
        self._tell(context, {update.key: _told(written.new)})
        return True

    def _tell(self, context: Context, values: Mapping[str, Value]) -> None:
        """Report what the meter holds, and the refusals if they have changed."""
        device = context.device.device_name
        refusals = "; ".join(self._refused.get(device, {}).values())
        if self._told.get(device) != refusals:
            self._told[device] = refusals
            values = {**values, ERROR_KEY: refusals}
        self._report(context.device, values)

    def _done(self, key: tuple[str, str], value: Any) -> None:
        """Note that a value was handled; one that came meanwhile stays pending."""
        self._held[key] = value
        wanted = self._wanted.get(key, _NOTHING)
        if wanted is value or wanted == value:  # NaN is not equal to itself
            del self._wanted[key]


def _told(value: Value) -> Value:
    """Return a value to report: the platform ignores null, and the previous one would stay."""
    return "" if value is None else value


_NOTHING = object()
