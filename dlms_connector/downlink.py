"""From the gateway's threads into the meters' loop: calls and shared attributes.

Nothing here blocks the gateway, and nothing raises into it: an exception in a handler ends
remote calls for all connectors until the gateway restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from logging import Logger
from typing import Any, Protocol

from dlms_connector.commands.attribute_updates import AttributeUpdates
from dlms_connector.commands.audit import Audit, Event
from dlms_connector.commands.dispatcher import Dispatcher, Meters
from dlms_connector.commands.request import Request, device_request
from dlms_connector.commands.work import Converter
from dlms_connector.config.model import Device
from dlms_connector.errors import CommandError
from dlms_connector.reading import Value
from dlms_converters.json_value import json_size, json_value

#: The client attribute with the outcome of a call to the connector.
CALL_KEY = "dlmsLastCall"
#: The time series of audit events.
AUDIT_KEY = "dlmsAudit"

#: The gateway stalls for ever on a message of 64 KiB.
_LARGEST_ANSWER = 48 * 1024


class Gateway(Protocol):
    """What of the gateway answers need."""

    def send_rpc_reply(self, *, device: str, req_id: int, content: Mapping[str, Any]) -> None:
        """Queue the answer to a device's call."""


class Downlink:
    """What the platform asks of the meters.

    `run` carries something out in the meters' loop and is false if there is none any more;
    `tell_attributes` and `tell_event` bring client attributes and an audit event to the
    platform.
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
        tell_event: Callable[[Device, str], None] | None,
        log: Logger,
    ) -> None:
        self._gateway, self._type = gateway, connector_type
        self._devices = {device.device_name: device for device in devices}
        self._converters, self._run = converters, run
        self._tell_attributes, self._tell_event, self._log = tell_attributes, tell_event, log
        self._dispatcher: Dispatcher | None = None
        self._updates: AttributeUpdates | None = None
        # Calls to the connector count downwards: the platform's own ids are positive.
        self._own_ids = count(-1, -1)
        self._own_calls: dict[int, str] = {}

    # In the meters' loop

    def start(self, meters: Meters) -> None:
        """Begin to serve; called once there is a fleet."""
        audit = Audit(self._log, self._event)
        self._dispatcher = Dispatcher(
            self._devices,
            self._converters,
            meters,
            reply=self._reply,
            json_value=_bounded,
            audit=audit,
            log=self._log,
            now=_now,
        )
        self._updates = AttributeUpdates(
            self._devices,
            self._converters,
            meters,
            report=self._report,
            audit=audit,
            log=self._log,
            now=_now,
        )

    def online(self, device: str) -> None:
        """Write what was wanted of a meter while it was away."""
        if self._updates:
            self._updates.retry(device)

    # In the gateway's threads

    def device_call(self, content: Mapping[str, Any]) -> None:
        """Take a call to a device; its answer goes out by itself."""
        try:
            request = device_request(content)
        except CommandError as error:
            self._log.warning(
                "a remote call to %s makes no sense: %s", content.get("device"), error
            )
            data = content.get("data")
            number = data.get("id") if isinstance(data, Mapping) else content.get("id")
            if isinstance(number, int):
                self._reply(str(content.get("device")), number, {"error": str(error)})
            return
        if not self._run(partial(self._call, request)):
            answer = {"error": f"{request.device}: the connector is stopped"}
            self._reply(request.device, request.id, answer)

    def connector_call(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take a call to the connector: `<type>_<method>`, for `device` or for all of them.

        What is returned is the platform's answer, so it says what was accepted; the outcome
        is each device's client attribute `dlmsLastCall`.
        """
        method = str(content.get("method", "")).removeprefix(f"{self._type}_")
        params = content.get("params")
        params = dict(params) if isinstance(params, Mapping) else params
        chosen = params.pop("device", None) if isinstance(params, dict) else None
        names = [*self._devices] if chosen is None else [str(chosen)]
        if unknown := [name for name in names if name not in self._devices]:
            return {"error": f"this connector polls no device {unknown[0]}"}
        for name in names:
            number = next(self._own_ids)
            self._own_calls[number] = method
            if not self._run(partial(self._call, Request(name, number, method, params))):
                return {"error": "the connector is stopped"}
        return {"result": {"accepted": names, "outcome": f"client attribute {CALL_KEY}"}}

    def attributes(self, content: Mapping[str, Any]) -> None:
        """Take shared attributes of a device; deleted ones stay as they are in the meter."""
        device, data = content.get("device"), content.get("data")
        if not isinstance(device, str) or not isinstance(data, Mapping):
            self._log.debug("shared attributes without a device or data: %s", list(content))
            return
        if "deleted" in data:
            self._log.debug("%s: deleted shared attributes are not written", device)
            return
        self._run(partial(self._update, device, dict(data)))

    def shared_keys(self, device: str) -> list[str]:
        """Return the shared attributes that are to be brought in line at the start."""
        known = self._devices.get(device)
        return [update.key for update in known.attribute_updates] if known else []

    # The parts between

    def _call(self, request: Request) -> None:
        if self._dispatcher is None:
            answer = {"error": f"{request.device}: the connector is starting; try again"}
            self._reply(request.device, request.id, answer)
        else:
            self._dispatcher.call(request)

    def _update(self, device: str, data: Mapping[str, Any]) -> None:
        if self._updates:
            self._updates.update(device, data)

    def _reply(self, device: str, number: int, content: Mapping[str, Any]) -> None:
        if number >= 0:
            self._gateway.send_rpc_reply(device=device, req_id=number, content=content)
        elif known := self._devices.get(device):
            outcome = {"method": self._own_calls.pop(number, ""), **content}
            self._tell_attributes(known, {CALL_KEY: outcome})

    def _report(self, device: Device, values: Mapping[str, Value]) -> None:
        self._tell_attributes(device, values)

    def _event(self, event: Event) -> None:
        if self._tell_event:
            self._tell_event(self._devices[event.device], event.sentence)


def _bounded(value: Value) -> Any:
    """Return what can be sent; raises CommandError for what is too large for one message."""
    result = json_value(value)
    if (size := json_size(result)) > _LARGEST_ANSWER:
        raise CommandError(f"the answer has {size} bytes, too much for one message; ask for less")
    return result


def _now() -> datetime:
    return datetime.now().astimezone()
