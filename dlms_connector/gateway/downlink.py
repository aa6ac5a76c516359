"""Passes calls and shared attributes from the gateway's threads to the meters' loop.

Nothing here blocks the gateway or raises an exception into it: an exception in a handler ends
remote calls for all connectors until the gateway restarts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from logging import Logger
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from dlms_connector.commands import (
    STOPPED,
    Answer,
    AttributeUpdates,
    Audit,
    Context,
    Converter,
    Dispatcher,
    Event,
    ImageJobs,
    Intervals,
    Kept,
    Ledger,
    Meters,
    Request,
    Traces,
    device_request,
    image_methods,
)
from dlms_connector.commands.image_file import FOLDER
from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError
from dlms_connector.gateway.connector_calls import ITSELF, STARTING, ConnectorCalls
from dlms_connector.gateway.sparing import Sparing
from dlms_connector.platform_keys import AUDIT
from dlms_connector.reading import LARGEST_ANSWER, Value
from dlms_converters.json_value import exceeds, json_size, json_value
from dlms_converters.message_size import LARGEST_VALUE

#: The time series of audit events.
AUDIT_KEY = AUDIT.name
#: Most calls that wait until there are meters.
_MOST_WAITING = 1000


class Gateway(Protocol):
    """The part of the gateway's interface that answers use."""

    #: The client of the platform; None until there is one.
    tb_client: Any

    def send_rpc_reply(
        self, *, device: str | None, req_id: int | str, content: Mapping[str, Any]
    ) -> None:
        """Queue the answer to a device's call, or to a call to the gateway itself."""

    def get_config_path(self) -> str:
        """Return the folder of the gateway's configuration."""


class Downlink:
    """Handles the platform's calls and shared attributes for the meters.

    `run` runs a job in the meters' loop; it returns false if the loop has ended.
    `tell_attributes` sends client attributes to the platform, `tell_telemetry` telemetry with
    the current time. With `audit_telemetry` the audit is sent as telemetry too.
    `largest_attribute` returns how many bytes of JSON an attribute may have at present.
    `connector_id` is what the gateway's interface calls this connector, None for any. `itself`
    has the methods of the connector that concern no meter. With a `refusal` no meter is served:
    each call is answered with it.
    """

    def __init__(
        self,
        gateway: Gateway,
        connector_type: str,
        devices: Sequence[Device],
        converters: Mapping[str, Converter],
        *,
        run: Callable[[Callable[[], None]], bool],
        tell_attributes: Callable[[Device, Mapping[str, Any]], None],
        tell_telemetry: Callable[[Device, str, Any], None],
        audit_telemetry: bool,
        log: Logger,
        largest_attribute: Callable[[], int] = lambda: LARGEST_VALUE["attributes"],
        connector_id: str | None = None,
        itself: Mapping[str, Callable[[], Any]] | None = None,
        refusal: str = "",
    ) -> None:
        self._refusal = refusal
        self._gateway = gateway
        self._devices = {device.device_name: device for device in devices}
        self._converters, self._run = converters, run
        self._tell_attributes, self._tell_telemetry = tell_attributes, tell_telemetry
        self._audit_telemetry, self._log = audit_telemetry, log
        self._senseless = Sparing(log, "a remote call makes no sense", self._later)
        self._ledger = Ledger(self._reply)
        #: Calls that were answered, by result.
        self.calls = {"ok": 0, "error": 0}
        self._own_calls = ConnectorCalls(
            gateway,
            connector_type,
            self._devices,
            connector_id,
            run=run,
            take=self._ledger.take,
            tell=tell_attributes,
            largest=largest_attribute,
            itself=itself or {},
            starting=refusal or STARTING,
        )
        self._make_context: Callable[[Device], Context]
        self._contexts: Mapping[str, Context] = {}
        self._dispatcher: Dispatcher | None = None
        self._updates: AttributeUpdates | None = None
        self._images: ImageJobs | None = None
        self._traces: Traces | None = None
        #: What came before there are meters, in the meters' loop, which may not run yet.
        self._early_calls: list[Callable[[], None]] = []
        self._early_values: dict[str, dict[str, Any]] = {}

    def inherit(self, before: Downlink) -> None:
        """Take over the shared attributes that are still to be written.

        Call it before the meters' loop runs, when that of `before` has ended. What this has
        taken meanwhile is newer and waits in the loop.
        """
        values = before._updates.wanted if before._updates else before._early_values
        for device, data in values.items():
            self._keep(device, data)

    # In the meters' loop

    def start(
        self,
        meters: Meters,
        state_dir: Path | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        """Begin to serve; called as soon as the fleet exists."""
        audit = Audit(self._log, self._event)
        clock_sets = Kept(state_dir, "clock-sets.json", self._log)
        self._make_context = lambda device: Context(
            device, self._converters[device.device_name], _now, clock_sets, intervals=intervals
        )
        contexts = self._made_contexts(self._devices.values())
        self._images = ImageJobs(
            Path(self._gateway.get_config_path()) / FOLDER,
            meters,
            Kept(state_dir, "image-transfers.json", self._log),
            self._log,
            tell_state=lambda device, key, value: self._tell_attributes(device, {key: value}),
            tell_progress=self._tell_telemetry,
        )
        self._updates = AttributeUpdates(
            contexts, meters, report=self._tell_attributes, audit=audit, log=self._log
        )
        traces = self._traces = Traces(meters, state_dir, self._log)
        self._dispatcher = self._own_calls.dispatcher = Dispatcher(
            contexts,
            meters,
            json_value=_bounded,
            audit=audit,
            log=self._log,
            more={
                **image_methods(self._images),
                **traces.methods(),
            },
            wrote=partial(self._wrote, meters),
        )
        traces.configured(self._devices.values())
        for device, data in self._early_values.items():
            self._updates.update(device, data)
        for call in self._early_calls:
            call()
        self._early_calls, self._early_values = [], {}

    def serve(self, devices: Sequence[Device], converters: Mapping[str, Converter]) -> None:
        """Serve these devices from now on, as the fleet does already; also before `start`.

        What is under way goes on, if its device is still there.
        """
        before = self._devices
        self._devices = {device.device_name: device for device in devices}
        self._own_calls.devices, self._converters = self._devices, converters
        if self._dispatcher is None or not (self._updates and self._images and self._traces):
            return
        changed = [one for name, one in self._devices.items() if before.get(name) is not one]
        contexts = self._made_contexts(changed)
        self._dispatcher.serve(contexts)
        self._updates.serve(contexts)
        self._images.serve(self._devices)
        self._traces.serve(self._devices, changed)

    def online(self, device: str) -> None:
        """Resume the work that waited for a meter while it was offline."""
        if self._updates:
            self._updates.retry(device)
        if self._images:
            self._images.online(device)

    def close(self) -> None:
        """Answer the calls that are still open; called once the meters' loop has ended."""
        self._senseless.tell()
        self._ledger.close({"error": STOPPED})

    # In the gateway's threads

    def device_call(self, content: Mapping[str, Any]) -> None:
        """Take a call to a device; its answer is sent separately."""
        try:
            request = device_request(content)
        except CommandError as error:
            self._senseless.warn(error)
            device, data = content.get("device"), content.get("data")
            number = data.get("id") if isinstance(data, Mapping) else None
            number = content.get("id") if number is None else number
            if isinstance(number, int) and not isinstance(number, bool):
                self._reply(str(device), number, {"error": str(error)})
            return
        answer = self._ledger.take(request)
        if answer is None:
            self._log.debug("%s: call %d came again", request.device, request.id)
        elif self._refusal:
            answer({"error": f"{request.device}: {self._refusal}"})
        elif not self._run(partial(self._call, request, answer, monotonic())):
            answer({"error": f"{request.device}: {STOPPED}"})

    def connector_call(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take a call to the connector; the return value is the reply."""
        return self._own_calls.take(content)

    def gateway_call(self, number: int, content: Mapping[str, Any]) -> bool:
        """Take a call to the connector that is replied to later; false if it is none."""
        return self._own_calls.take_one(number, content)

    def attributes(self, content: Mapping[str, Any]) -> None:
        """Take shared attributes of a device; deleted ones are left unchanged in the meter."""
        device, data = content.get("device"), content.get("data")
        if not isinstance(device, str) or not isinstance(data, Mapping):
            self._log.debug("shared attributes without a device or data: %s", list(content))
            return
        if "deleted" in data:
            self._log.debug("%s: deleted shared attributes are not written", device)
            return
        if not self._refusal:  # else who serves the meter gets them, too
            self._run(partial(self._update, device, dict(data)))

    def shared_keys(self, device: str) -> list[str]:
        """Return the keys of the shared attributes to request at the start.

        For a renamed device the gateway gives the new name, which is not known here. The keys
        of all devices are returned then.
        """
        known = self._devices.get(device)
        asked = [known] if known else self._devices.values()
        return sorted({update.key for one in asked for update in one.attribute_updates})

    # Internals

    def _made_contexts(self, new: Iterable[Device]) -> Mapping[str, Context]:
        """Return the contexts of all devices, with another for each new one."""
        made = {device.device_name: self._make_context(device) for device in new}
        known = {**self._contexts, **made}
        self._contexts = {name: known[name] for name in self._devices}
        return self._contexts

    def _call(self, request: Request, answer: Answer, came: float) -> None:
        if self._dispatcher is not None:
            self._dispatcher.call(request, answer, age_s=monotonic() - came)
        elif len(self._early_calls) < _MOST_WAITING:
            self._early_calls.append(partial(self._call, request, answer, came))
        else:
            answer({"error": f"{request.device}: {STARTING}"})

    def _later(self, seconds: float, job: Callable[[], None]) -> None:
        def schedule() -> None:
            asyncio.get_running_loop().call_later(seconds, job)

        self._run(schedule)

    def _wrote(self, meters: Meters, device: str, ref: AttributeRef | MethodRef) -> None:
        """Let the platform's values follow what a call has changed."""
        if device not in self._devices:
            return
        if self._updates and isinstance(ref, AttributeRef):
            self._updates.wrote(device, ref)
        meters.refresh(device, ref.class_id, ref.obis)

    def _update(self, device: str, data: Mapping[str, Any]) -> None:
        if self._updates:
            self._updates.update(device, data)
        else:
            self._keep(device, data)

    def _keep(self, device: str, data: Mapping[str, Any]) -> None:
        """Keep shared attributes until there are meters: those that are configured."""
        if known := self._devices.get(device):
            kept = {one.key: data[one.key] for one in known.attribute_updates if one.key in data}
            self._early_values.setdefault(device, {}).update(kept)

    def _reply(self, device: str, number: int, content: Mapping[str, Any]) -> bool:
        """Send an answer; false if the platform is not connected or the gateway fails."""
        self.calls["error" if "error" in content else "ok"] += 1
        try:
            if device == ITSELF:
                self._gateway.send_rpc_reply(device=None, req_id=str(number), content=content)
            else:
                self._gateway.send_rpc_reply(device=device, req_id=number, content=content)
            client = self._gateway.tb_client
            return client is None or bool(client.is_connected())
        except Exception:
            self._log.exception("%s: the answer could not be sent", device)
            return False

    def _event(self, event: Event) -> None:
        if self._audit_telemetry and (device := self._devices.get(event.device)) is not None:
            self._tell_telemetry(device, AUDIT_KEY, event.sentence)


def _bounded(value: Value) -> Any:
    """Return a value as JSON; raises CommandError if it is too large for one message."""
    if exceeds(value, LARGEST_ANSWER):  # a year of rows: do not convert it in vain
        problem = f"the answer has more than {LARGEST_ANSWER} bytes"
        raise CommandError(f"{problem}, too much for one message; ask for less")
    result = json_value(value, longest=LARGEST_ANSWER)
    if (size := json_size(result)) > LARGEST_ANSWER:
        raise CommandError(f"the answer has {size} bytes, too much for one message; ask for less")
    return result


def _now() -> datetime:
    return datetime.now().astimezone()
