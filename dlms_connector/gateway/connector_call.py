"""Calls to the connector, as the gateway's web interface sends them, and what is told of them.

The form of the RPC tab wraps the arguments, `{"command": "readClock", "params": {…},
"connectorId": "…"}`. The debug terminal sends what was typed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.commands import named

#: The client attribute with the outcome of a call to the connector.
CALL_KEY = "dlmsLastCall"
#: The name that stands for all devices.
EVERYONE = "*"

#: The form's keys. What else may stand beside the arguments is for us, as if it stood among them.
_FORM = frozenset({"command", "params", "connectorId"})
_OURS = frozenset({"device", "devices", "timeout"})

#: With more devices than this, an answer gives only their number.
_MOST_NAMED = 100
#: Refused devices that are told with their reasons, and reasons in one sentence.
_MOST_REFUSED, _MOST_REASONS = 20, 3
#: Most characters of a name that is no device's.
_LONGEST_NAME = 255

#: The key in a call with what other connectors of the type made of it.
_TALLY = "dlmsTally"


@dataclass(frozen=True, slots=True)
class ConnectorCall:
    """A call to the connector.

    `devices` are the names that the caller gives; None if it gives none. `connector_id` is the
    connector that is meant, None if any is. `from_form` says that the form sent it, which waits
    as long as the platform's shortest timeout.
    """

    method: str
    params: Any
    devices: tuple[str, ...] | None
    connector_id: str | None
    from_form: bool

    @classmethod
    def read(cls, content: Mapping[str, Any], connector_type: str) -> ConnectorCall:
        """Read a call, `<type>_<method>` with its parameters in any form."""
        method = str(content.get("method", "")).removeprefix(f"{connector_type}_")
        params, connector_id, from_form = _unwrapped(content.get("params"))
        params, devices = _without_devices(params)
        return cls(method, params, devices, connector_id, from_form)

    @property
    def everyone(self) -> bool:
        """Whether all devices are meant."""
        return self.devices is None or EVERYONE in self.devices


def _unwrapped(params: Any) -> tuple[Any, str | None, bool]:
    """Return the arguments without the form's own keys, the connector's id, whether it was one."""
    outer = dict(named(params) or {})
    from_form = "command" in outer and outer.keys() <= _FORM | _OURS
    if not from_form and "connectorId" not in outer:
        return params, None, False
    connector_id = outer.pop("connectorId", None)
    if from_form:
        del outer["command"]
        inner = outer.pop("params", None)
        if (found := named(inner)) is not None:
            outer.update(found)
        elif inner not in (None, ""):  # a bare value of a configured method
            outer = {**outer, "value": inner}
    return outer, None if connector_id is None else str(connector_id), from_form


def _without_devices(params: Any) -> tuple[Any, tuple[str, ...] | None]:
    found = named(params) or {}
    if not found.keys() & {"device", "devices"}:
        return params, None
    rest = dict(found)
    chosen = [rest.pop(key, None) for key in ("device", "devices")]
    names = [name for one in chosen if one is not None for name in _names(one)]
    return rest, None if chosen == [None, None] else tuple(dict.fromkeys(names))


def _names(chosen: Any) -> Sequence[str]:
    if isinstance(chosen, str) and chosen.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # a list in `key=value;` text
            chosen = json.loads(chosen)
    return [str(one) for one in chosen] if isinstance(chosen, list | tuple) else [str(chosen)]


@dataclass(slots=True)
class Tally:
    """Which devices have accepted a call, and why others have not.

    The gateway gives one call to all connectors of a type in turn, and the last one's answer is
    told. So what the others made of it is noted in the call itself.
    """

    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Tally:
        """Return the tally of a call; a new one at the first connector."""
        found = content.get(_TALLY)
        tally = found if isinstance(found, cls) else cls()
        if isinstance(content, MutableMapping):
            content[_TALLY] = tally
        return tally

    def accept(self, names: Sequence[str]) -> None:
        """Note that devices accept the call."""
        self.accepted += names
        for name in names:
            self.refused.pop(name, None)

    def strange(self, name: str) -> None:
        """Note a device that is not ours; another connector may poll it."""
        name = name[:_LONGEST_NAME]
        if name not in self.accepted:
            self.refused.setdefault(name, f"this connector polls no device {name}")

    def answer(self, refusal: str = "") -> dict[str, Any]:
        """Return what is told; `refusal` is why this connector has done nothing."""
        if not self.accepted:
            return {"error": _shared(self.refused) or refusal}
        told = self.accepted
        result: dict[str, Any] = {
            "accepted": [*told] if len(told) <= _MOST_NAMED else f"{len(told)} devices",
            "outcome": f"client attribute {CALL_KEY}",
        }
        if self.refused:
            result["refused"] = _few(self.refused)
        return {"result": result}


def _shared(refused: Mapping[str, str]) -> str:
    """Return the reasons in one sentence."""
    reasons = list(dict.fromkeys(refused.values()))
    more = len(reasons) - _MOST_REASONS
    text = "; ".join(reasons[:_MOST_REASONS])
    return f"{text}; and {more} more" if more > 0 else text


def _few(refused: Mapping[str, str]) -> Any:
    return dict(refused) if len(refused) <= _MOST_REFUSED else f"{len(refused)} devices"
