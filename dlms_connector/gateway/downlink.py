"""Passes calls and shared attributes from the gateway's threads to the meters' loop.

Nothing here blocks the gateway or raises an exception into it: an exception in a handler ends
remote calls for all connectors until the gateway restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from logging import Logger
from pathlib import Path
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
    Kept,
    Ledger,
    Meters,
    Request,
    device_request,
    image_methods,
    named,
    wanted_timeout_s,
)
from dlms_connector.commands.image_file import FOLDER
from dlms_connector.config import Device
from dlms_connector.errors import CommandError
from dlms_connector.reading import Value
from dlms_converters.json_value import json_size, json_value
from dlms_converters.message_size import LARGEST_VALUE

#: The client attribute with the outcome of a call to the connector.
CALL_KEY = "dlmsLastCall"
#: The time series of audit events.
AUDIT_KEY = "dlmsAudit"

#: The gateway hangs for ever on a message of 64 KiB.
_LARGEST_ANSWER = 48 * 1024
#: With more devices than this, an answer gives only their number.
_MOST_NAMED = 100

#: The key in a call to the connector with the devices that accepted it so far.
_ACCEPTED = "dlmsAccepted"


class Gateway(Protocol):
    """The part of the gateway's interface that answers use."""

    #: The client of the platform; None until there is one.
    tb_client: Any

    def send_rpc_reply(self, *, device: str, req_id: int, content: Mapping[str, Any]) -> None:
        """Queue the answer to a device's call."""

    def get_config_path(self) -> str:
        """Return the folder of the gateway's configuration."""


class Downlink:
    """Handles the platform's calls and shared attributes for the meters.

    `run` runs a job in the meters' loop; it returns false if the loop has ended.
    `tell_attributes` sends client attributes to the platform, `tell_telemetry` telemetry with
    the current time. With `audit_telemetry` the audit is sent as telemetry too.
    `largest_attribute` returns how many bytes of JSON an attribute may have at present.
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
    ) -> None:
        self._gateway, self._type = gateway, connector_type
        self._devices = {device.device_name: device for device in devices}
        self._converters, self._run = converters, run
        self._tell_attributes, self._tell_telemetry = tell_attributes, tell_telemetry
        self._audit_telemetry, self._log = audit_telemetry, log
        self._largest_attribute = largest_attribute
        self._ledger = Ledger(self._reply)
        self._dispatcher: Dispatcher | None = None
        self._updates: AttributeUpdates | None = None
        self._images: ImageJobs | None = None

    # In the meters' loop

    def start(self, meters: Meters, state_dir: Path | None = None) -> None:
        """Begin to serve; called as soon as the fleet exists."""
        audit = Audit(self._log, self._event)
        clock_sets = Kept(state_dir, "clock-sets.json", self._log)
        contexts = {
            name: Context(device, self._converters[name], _now, clock_sets)
            for name, device in self._devices.items()
        }
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
        self._dispatcher = Dispatcher(
            contexts,
            meters,
            json_value=_bounded,
            audit=audit,
            log=self._log,
            more=image_methods(self._images),
            wrote=self._updates.wrote,
        )

    def online(self, device: str) -> None:
        """Resume the work that waited for a meter while it was offline."""
        if self._updates:
            self._updates.retry(device)
        if self._images:
            self._images.online(device)

    def close(self) -> None:
        """Answer the calls that are still open; called once the meters' loop has ended."""
        self._ledger.close({"error": STOPPED})

    # In the gateway's threads

    def device_call(self, content: Mapping[str, Any]) -> None:
        """Take a call to a device; its answer is sent separately."""
        try:
            request = device_request(content)
        except CommandError as error:
            self._log.warning("a remote call makes no sense: %s", error)
            device, data = content.get("device"), content.get("data")
            number = data.get("id") if isinstance(data, Mapping) else None
            number = content.get("id") if number is None else number
            if isinstance(number, int) and not isinstance(number, bool):
                self._reply(str(device), number, {"error": str(error)})
            return
        answer = self._ledger.take(request)
        if answer is None:
            self._log.debug("%s: call %d came again", request.device, request.id)
        elif not self._run(partial(self._call, request, answer)):
            answer({"error": f"{request.device}: {STOPPED}"})

    def connector_call(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take a call to the connector: `<type>_<method>`, for `device` or for all of them.

        A method that changes meters runs on all of them only with `"device": "*"`. The return
        value is the answer to the platform: it names the devices that accepted. The outcome is
        each device's client attribute `dlmsLastCall`. The gateway gives the same object to all
        connectors of a type in turn, and the last answer counts. So the devices that accepted
        are noted in this object.
        """
        method = str(content.get("method", "")).removeprefix(f"{self._type}_")
        params = content.get("params")
        chosen = None
        if "device" in (found := named(params) or {}):
            params = dict(found)
            chosen = params.pop("device")
        if chosen is None and self._dispatcher and self._dispatcher.changes(method):
            return {"error": f'{method}: name the `device`, or give "*" for all'}
        names = [*self._devices] if chosen in (None, "*") else [str(chosen)]
        accepted: list[str] = content.get(_ACCEPTED, [])
        refusal = ""
        if unknown := [name for name in names if name not in self._devices]:
            refusal = f"this connector polls no device {unknown[0]}"
        elif self._dispatcher and not self._dispatcher.knows(method):
            refusal = f"no such method: {method[:100]}"
        if refusal:
            return _accepted(accepted) if accepted else {"error": refusal}
        timeout_s = wanted_timeout_s(params)
        for name in names:
            request = Request(name, -1, method, params, timeout_s)
            if not self._run(partial(self._call, request, self._outcome_of(name, method))):
                return {"error": "the connector is stopped"}
        accepted = [*accepted, *names]
        if isinstance(content, dict):
            content[_ACCEPTED] = accepted
        return _accepted(accepted)

    def attributes(self, content: Mapping[str, Any]) -> None:
        """Take shared attributes of a device; deleted ones are left unchanged in the meter."""
        device, data = content.get("device"), content.get("data")
        if not isinstance(device, str) or not isinstance(data, Mapping):
            self._log.debug("shared attributes without a device or data: %s", list(content))
            return
        if "deleted" in data:
            self._log.debug("%s: deleted shared attributes are not written", device)
            return
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

    def _call(self, request: Request, answer: Answer) -> None:
        if self._dispatcher is None:
            answer({"error": f"{request.device}: the connector is starting; try again"})
        else:
            self._dispatcher.call(request, answer)

    def _update(self, device: str, data: Mapping[str, Any]) -> None:
        if self._updates:
            self._updates.update(device, data)

    def _outcome_of(self, device: str, method: str) -> Answer:
        def answer(content: Mapping[str, Any]) -> None:
            outcome = {"method": method, **content}
            if (size := json_size(outcome)) > self._largest_attribute():
                sentence = f"{device}: the answer has {size} bytes, too much for an attribute"
                outcome = {"method": method, "error": f"{sentence}; call the device itself"}
            self._tell_attributes(self._devices[device], {CALL_KEY: outcome})

        return answer

    def _reply(self, device: str, number: int, content: Mapping[str, Any]) -> bool:
        """Send an answer; false if the platform is not connected or the gateway fails."""
        try:
            self._gateway.send_rpc_reply(device=device, req_id=number, content=content)
            client = self._gateway.tb_client
            return client is None or bool(client.is_connected())
        except Exception:
            self._log.exception("%s: the answer could not be sent", device)
            return False

    def _event(self, event: Event) -> None:
        if self._audit_telemetry:
            self._tell_telemetry(self._devices[event.device], AUDIT_KEY, event.sentence)


def _accepted(names: Sequence[str]) -> Mapping[str, Any]:
    """Return the answer to a call to the connector that these devices have accepted."""
    told = [*names] if len(names) <= _MOST_NAMED else f"{len(names)} devices"
    return {"result": {"accepted": told, "outcome": f"client attribute {CALL_KEY}"}}


def _bounded(value: Value) -> Any:
    """Return a value as JSON; raises CommandError if it is too large for one message."""
    result = json_value(value, longest=_LARGEST_ANSWER)
    if (size := json_size(result)) > _LARGEST_ANSWER:
        raise CommandError(f"the answer has {size} bytes, too much for one message; ask for less")
    return result


def _now() -> datetime:
    return datetime.now().astimezone()
