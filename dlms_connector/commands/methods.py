"""The methods that every device has, and those that its configuration adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from dlms_connector.commands.clock import (
    DEFAULT_CAPTURE_PERIOD_S,
    THRESHOLD_S,
    read_clock,
    set_clock,
)
from dlms_connector.commands.operations import invoke, read, write
from dlms_connector.commands.policy import require_write
from dlms_connector.commands.relay import (
    DISCONNECT,
    DISCONNECT_CONTROL,
    RECONNECT,
    RELAY,
    relay_state,
    switch_relay,
)
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.config.model import RpcMethod
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError
from dlms_connector.obis import Obis
from dlms_connector.profiles import Row, by_time, last
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

Method = Callable[[Context, Arguments], Work]

_REGISTER, _DATA = 3, 1
#: A profile is read in blocks, which takes its time.
_PROFILE_TIMEOUT_S = 60.0
_MOST_ROWS = 5000


def _reading(context: Context, ref: AttributeRef, scaler: int | None = None) -> Work:
    return Work(
        talk=lambda client: read(client, ref, context.options, scaler), what=f"reading {ref}"
    )


def _writing(
    context: Context, ref: AttributeRef, value: Any, type_: str | None, scaler: int | None = None
) -> Work:
    encode = context.encoder(ref, value, type_)
    return Work(
        talk=lambda client: write(client, ref, encode, context.options, scaler),
        what=f"writing {ref}",
        changes=True,
    )


def _invoking(context: Context, method: MethodRef, value: Any, type_: str | None) -> Work:
    argument = context.argument(method, value, type_)
    return Work(
        talk=lambda client: invoke(client, method, argument),
        what=f"invoking {method}",
        changes=True,
    )


def _attribute(arguments: Arguments) -> AttributeRef:
    obis = arguments.obis()
    class_id = arguments.class_id(_REGISTER)
    return AttributeRef(class_id, obis, arguments.integer("attribute", 2, least=1, most=127))


def _read_object(context: Context, arguments: Arguments) -> Work:
    return _reading(context, _attribute(arguments))


def _write_object(context: Context, arguments: Arguments) -> Work:
    ref = _attribute(arguments)
    require_write(context.device, arguments.method, ref.obis)
    return _writing(context, ref, arguments.value(), arguments.text("type"))


def _invoke_method(context: Context, arguments: Arguments) -> Work:
    obis = arguments.obis()
    require_write(context.device, arguments.method, obis)
    class_id = arguments.class_id(_DATA)
    index = arguments.integer("method", None, least=1, most=127)
    value = arguments.values.pop("value", None)
    return _invoking(context, MethodRef(class_id, obis, index), value, arguments.text("type"))


def _read_profile(context: Context, arguments: Arguments) -> Work:
    return _profile(context, arguments.obis(), arguments)


def _profile(context: Context, obis: Obis, arguments: Arguments) -> Work:
    options = context.options
    if "last" in arguments.values:
        count = arguments.integer("last", None, least=1, most=_MOST_ROWS)

        def newest(client: Client) -> Talk[Value]:
            return _shown((yield from last(client, obis, count, options)))

        return Work(talk=newest, what=f"reading {obis}", timeout_s=_PROFILE_TIMEOUT_S)
    start, end = _moment(context, arguments, "from"), _moment(context, arguments, "to")
    if end < start:
        raise CommandError(f"{arguments.method}: `to` lies before `from`")

    def between(client: Client) -> Talk[Value]:
        return _shown((yield from by_time(client, obis, start, end, options)))

    return Work(talk=between, what=f"reading {obis}", timeout_s=_PROFILE_TIMEOUT_S)


def _shown(rows: list[Row]) -> list[Value]:
    return [{"time": row.at.isoformat() if row.at else None, **row.values} for row in rows]


def _moment(context: Context, arguments: Arguments, key: str) -> datetime:
    """Take a moment in ISO 8601; without a zone it is the meter's own, else UTC."""
    text = arguments.text(key)
    if text is None:
        raise CommandError(f"{arguments.method}: either `last`, or `from` and `to` are needed")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise CommandError(
            f"{arguments.method}: {key}: {text!r} is not a moment such as 2026-05-01T00:00:00Z"
        ) from None
    zone = context.options.zone or timezone.utc
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _read_clock(context: Context, arguments: Arguments) -> Work:
    def talk(client: Client) -> Talk[Value]:
        return (yield from read_clock(client, context.options, context.now)).describe()

    return Work(talk=talk, what="reading the clock")


def _sync_clock(context: Context, arguments: Arguments) -> Work:
    require_write(context.device, arguments.method, Obis(bytes((0, 0, 1, 0, 0, 255))))
    threshold = arguments.integer("thresholdSeconds", int(THRESHOLD_S), least=0, most=86_400)
    force = arguments.flag("force")
    period = arguments.integer(
        "capturePeriodSeconds", DEFAULT_CAPTURE_PERIOD_S, least=0, most=86_400
    )

    def talk(client: Client) -> Talk[Value]:
        return (
            yield from set_clock(
                client,
                context.options,
                context.now,
                threshold_s=threshold,
                period_s=period,
                force=force,
            )
        )

    return Work(talk=talk, what="setting the clock", changes=True)


def _relay(arguments: Arguments) -> Obis:
    return arguments.obis() if "obis" in arguments.values else RELAY


def _get_relay_state(context: Context, arguments: Arguments) -> Work:
    obis = _relay(arguments)
    return Work(talk=lambda client: relay_state(client, obis), what="reading the relay's state")


def _switch(obis: Obis, method: int) -> Work:
    return Work(
        talk=lambda client: switch_relay(client, obis, method),
        what="disconnecting the relay" if method == DISCONNECT else "reconnecting the relay",
        changes=True,
    )


def _switching(method: int) -> Method:
    def build(context: Context, arguments: Arguments) -> Work:
        obis = _relay(arguments)
        require_write(context.device, arguments.method, obis)
        return _switch(obis, method)

    return build


#: The built-in methods that talk to the meter, and the gateway's reserved `get` and `set`.
METHODS: Mapping[str, Method] = {
    "get": _read_object,
    "set": _write_object,
    "readObject": _read_object,
    "writeObject": _write_object,
    "invokeMethod": _invoke_method,
    "readProfile": _read_profile,
    "readClock": _read_clock,
    "syncClock": _sync_clock,
    "getRelayState": _get_relay_state,
    "disconnectRelay": _switching(DISCONNECT),
    "reconnectRelay": _switching(RECONNECT),
}


def configured(context: Context, method: RpcMethod, params: Any) -> Work:
    """Return the work of a method of the configuration: its author allowed what it does."""
    work = _configured(context, method, params)
    if method.request_timeout_ms is None:
        return work
    return Work(
        talk=work.talk,
        what=work.what,
        changes=work.changes,
        timeout_s=method.request_timeout_ms / 1000,
    )


def _configured(context: Context, method: RpcMethod, params: Any) -> Work:
    ref = AttributeRef(method.class_id, method.obis, method.attribute)
    if method.request_type == "get":
        return _reading(context, ref, method.scaler)
    if method.request_type == "profile":
        return _profile(context, method.obis, Arguments.read(method.method, params))
    value = _given(method, params)
    if method.request_type == "set":
        if value is None:
            raise CommandError(f"{method.method}: a value to write is missing")
        return _writing(context, ref, value, method.type, method.scaler)
    index = method.method_index or 1
    if method.class_id == DISCONNECT_CONTROL and index in (DISCONNECT, RECONNECT):
        return _switch(method.obis, index)
    called = MethodRef(method.class_id, method.obis, index)
    # Methods without a parameter of their own take an integer of 0.
    type_ = method.type or ("integer" if value is None else None)
    return _invoking(context, called, 0 if value is None else value, type_)


def _given(method: RpcMethod, params: Any) -> Any:
    """Return the call's value, bare or as `{"value": …}`, else the configured one."""
    if isinstance(params, Mapping) and ("value" in params or set(params) <= {"timeout"}):
        return params.get("value", method.value)
    return method.value if params is None or params == "" else params
