"""Carries out calls to the connector: `<type>_<method>`, for one device, several or all.

The gateway wants the reply to such a call at once, and the MQTT thread must not wait for a
meter. So what cannot be done is refused at once, and what is accepted is told later: in the reply
itself where one device is named and the call comes by `take_one`, and always in the device's
client attribute `dlmsLastCall`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from dlms_connector.commands import Answer, Dispatcher, Request, wanted_timeout_s
from dlms_connector.config import Device
from dlms_connector.gateway.connector_call import CALL_KEY, ConnectorCall, Tally
from dlms_connector.gateway.renames import our_name, renamed_devices
from dlms_converters.json_value import json_size

#: When a call is replied to at the latest, if it does not say how long it waits. The form of the
#: RPC tab gives up after the platform's shortest timeout, 5 s.
_REPLY_S = 4.5
#: The device of these calls in the ledger.
ITSELF = ""
STARTING = "the connector is starting; try again"
_STOPPED = "the connector is stopped"


class ConnectorCalls:
    """The calls to one connector.

    `run` runs a job in the meters' loop; it returns false if the loop has ended. `take` returns
    the function that replies to a call, None for a repeated one. `tell` sends client attributes,
    of `largest` bytes of JSON at most. `itself` has the methods that concern no meter.
    `starting` is why none can be carried out before there are meters.
    """

    #: Carries out the calls; None until there are meters.
    dispatcher: Dispatcher | None = None

    def __init__(
        self,
        gateway: Any,
        connector_type: str,
        devices: Mapping[str, Device],
        connector_id: str | None,
        *,
        run: Callable[[Callable[[], None]], bool],
        take: Callable[[Request], Answer | None],
        tell: Callable[[Device, Mapping[str, Any]], None],
        largest: Callable[[], int],
        itself: Mapping[str, Callable[[], Any]],
        starting: str = STARTING,
    ) -> None:
        self._starting = starting
        self._gateway, self._type = gateway, connector_type
        #: By name. Replaced where they change: the threads of the gateway look at it.
        self.devices = devices
        self._id, self._run, self._take = connector_id, run, take
        self._tell, self._largest, self._itself = tell, largest, itself

    # In the gateway's threads

    def take(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take a call; return what is told of it: the devices that accepted, and refusals.

        A method that changes meters runs on all of them only with `"device": "*"`. One of the
        connector itself is answered at once.
        """
        call, tally = ConnectorCall.read(content, self._type), Tally.of(content)
        if not self._is_meant(call):
            return tally.answer(f"no such connector: {str(call.connector_id)[:100]}")
        if tell := self._itself.get(call.method):
            return {"result": tell()}
        ours = self._chosen(call)
        for name in () if call.everyone else call.devices or ():
            if name not in ours:
                tally.strange(name)
        if not ours and not call.everyone:
            return tally.answer("name the `device`")
        requests = {called: _request(call, name) for called, name in ours.items()}
        refusal = self._refusal(call) or self._accept(requests, tally)
        if refusal and not call.everyone:
            tally.refused.update(dict.fromkeys(ours, refusal))
        return tally.answer(refusal or "this connector polls no device")

    def take_one(self, number: int, content: Mapping[str, Any]) -> bool:
        """Take a call that names one device of ours; its answer is the reply.

        Returns false for all other calls. If the answer is not there in time, the reply tells
        where it will be seen.
        """
        if self.dispatcher is None or not self._is_named(content.get("method")):
            return False
        call = ConnectorCall.read(content, self._type)
        ours = self._chosen(call)
        if call.everyone or len(call.devices or ()) != 1 or not ours or not self._is_meant(call):
            return False
        ((called, name),) = ours.items()
        answer = self._take(Request(ITSELF, number, call.method, content.get("params")))
        if answer is None:  # a repeated call
            return True
        request = _request(call, name)
        reply_s = _REPLY_S if call.from_form else request.timeout_s or _REPLY_S
        job = partial(self._call_in_time, request, called, answer, reply_s, monotonic())
        if not self._run(job):
            answer({"error": _STOPPED})
        return True

    def _is_named(self, method: Any) -> bool:
        return isinstance(method, str) and method.startswith(f"{self._type}_")

    def _is_meant(self, call: ConnectorCall) -> bool:
        return None in (call.connector_id, self._id) or call.connector_id == self._id

    def _chosen(self, call: ConnectorCall) -> dict[str, str]:
        """Return our names of the devices that a call is for, by their names for the caller."""
        if call.everyone:
            renamed = renamed_devices(self._gateway)
            return {renamed.get(name, name): name for name in self.devices}
        found = {called: our_name(self._gateway, called) for called in call.devices or ()}
        return {called: name for called, name in found.items() if name in self.devices}

    def _refusal(self, call: ConnectorCall) -> str:
        """Return why a call is refused as a whole; an empty text if it is not."""
        if self.dispatcher is None:
            return self._starting
        if not self.dispatcher.knows(call.method):
            return f"no such method: {call.method[:100]}"
        if call.devices is None and self.dispatcher.changes(call.method):
            return f'{call.method}: name the `device`, or give "*" for all'
        return ""

    def _accept(self, requests: Mapping[str, Request], tally: Tally) -> str:
        """Hand over the calls that can be done, all at once; return why if none was."""
        able: dict[str, Request] = {}
        refused: dict[str, str] = {}
        for called, request in requests.items():
            if self.dispatcher and (reason := self.dispatcher.refusal(request)):
                refused[called] = reason
            else:
                able[called] = request
        if able and not self._run(partial(self._call_all, [*able.values()], monotonic())):
            return _STOPPED
        tally.refused.update(refused)
        tally.accept([*able])
        return ""

    # In the meters' loop

    def _call_all(self, requests: Sequence[Request], came: float) -> None:
        for request in requests:
            self._call(request, partial(self._note, request), came)

    def _call_in_time(
        self, request: Request, called: str, answer: Answer, reply_s: float, came: float
    ) -> None:
        """Carry out a call; reply with its outcome, or in time with where that will be seen."""
        later = Tally([called]).answer()
        left_s = max(0.0, came + reply_s - monotonic())
        timer = asyncio.get_running_loop().call_later(left_s, answer, later)

        def both(content: Mapping[str, Any]) -> None:
            timer.cancel()
            answer(content)
            self._note(request, content)

        self._call(request, both, came)

    def _call(self, request: Request, answer: Answer, came: float) -> None:
        if self.dispatcher is not None:
            self.dispatcher.call(request, answer, age_s=monotonic() - came)

    def _note(self, request: Request, content: Mapping[str, Any]) -> None:
        """Send the outcome of a call as a client attribute of its device."""
        outcome = {"method": request.method, **content}
        if (size := json_size(outcome)) > self._largest():
            sentence = f"{request.device}: the answer has {size} bytes, too much for an attribute"
            outcome = {"method": request.method, "error": f"{sentence}; call the device itself"}
        if (device := self.devices.get(request.device)) is not None:
            self._tell(device, {CALL_KEY: outcome})


def _request(call: ConnectorCall, name: str) -> Request:
    """Return the call of one device."""
    timeout_s = wanted_timeout_s(call.params)
    # The form has its reply by then: nobody is told of a change that begins later.
    patience_s = _REPLY_S if call.from_form and timeout_s is None else None
    return Request(name, -1, call.method, call.params, timeout_s, patience_s)
