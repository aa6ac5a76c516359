"""Calls that read, write and invoke any object, and the configured RPC methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dlms_connector.commands.operations import Attempt, invoke, read, write
from dlms_connector.commands.policy import require_write
from dlms_connector.commands.profile_calls import read_rows
from dlms_connector.commands.relay import DISCONNECT, DISCONNECT_CONTROL, RECONNECT
from dlms_connector.commands.relay_calls import switching
from dlms_connector.commands.request import Arguments, named
from dlms_connector.commands.work import Context, Work
from dlms_connector.config import RpcMethod
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError

_REGISTER, _DATA = 3, 1


def read_object(context: Context, arguments: Arguments) -> Work:
    """`readObject` and `get`: read any attribute."""
    return _reading(context, _attribute(arguments))


def write_object(context: Context, arguments: Arguments) -> Work:
    """`writeObject` and `set`: write an attribute that `allowWrite` covers."""
    ref = _attribute(arguments)
    require_write(context.device, arguments.method, ref.obis)
    return _writing(context, ref, arguments.value(), arguments.text("type"))


def invoke_method(context: Context, arguments: Arguments) -> Work:
    """`invokeMethod`: invoke a method of an object that `allowWrite` covers."""
    obis = arguments.obis()
    require_write(context.device, arguments.method, obis)
    class_id = arguments.class_id(_DATA)
    index = arguments.integer("method", None, least=1, most=127)
    # A value of null means no argument; a missing value means the integer 0.
    given, type_ = "value" in arguments.values, arguments.text("type")
    value = arguments.value() if given else 0
    method = MethodRef(class_id, obis, index)
    return _invoking(context, method, value, type_ or _default_type(value))


def configured(context: Context, method: RpcMethod, params: Any) -> Work:
    """Return the work of a configured method; being configured, it needs no `allowWrite`."""
    work = _configured(context, method, params)
    if method.request_timeout_ms is None:
        return work
    return replace(work, timeout_s=method.request_timeout_ms / 1000)


def changes(method: RpcMethod) -> bool:
    """Whether a configured method changes the meter."""
    return method.request_type in ("set", "action")


def _configured(context: Context, method: RpcMethod, params: Any) -> Work:
    ref = AttributeRef(method.class_id, method.obis, method.attribute)
    if method.request_type == "get":
        return _reading(context, ref, method.scaler)
    if method.request_type == "profile":
        arguments = Arguments.read(method.method, params)
        work = read_rows(context, method.obis, arguments)
        arguments.done()
        return work
    value = _given(method, params)
    if method.request_type == "set":
        if value is None:
            raise CommandError(f"{method.method}: a value to write is missing")
        return _writing(context, ref, value, method.type, method.scaler)
    index = method.method_index or 1
    if method.class_id == DISCONNECT_CONTROL and index in (DISCONNECT, RECONNECT):
        return switching(method.obis, index)
    called = MethodRef(method.class_id, method.obis, index)
    value = 0 if value is None else value
    return _invoking(context, called, value, method.type or _default_type(value))


def _default_type(value: Any) -> str | None:
    """Return the default type: integer for 0, the argument of methods without a parameter."""
    return "integer" if value in (0, "0") and not isinstance(value, bool) else None


def _given(method: RpcMethod, params: Any) -> Any:
    """Return the call's value, bare or as `{"value": …}`, else the configured one."""
    if isinstance(params, str) and params.lstrip().startswith("{"):
        params = named(params) or params  # JSON text of an object; else a value
    if isinstance(params, Mapping) and ("value" in params or set(params) <= {"timeout"}):
        if unknown := sorted(str(key) for key in set(params) - {"value", "type", "timeout"}):
            raise CommandError(f"{method.method}: unknown parameter `{unknown[0]}`")
        if "type" in params:
            return {"type": params["type"], "value": params.get("value")}
        return params.get("value", method.value)
    if isinstance(params, Mapping):
        params = {key: value for key, value in params.items() if key != "timeout"}
    return method.value if params is None or params in ("", {}) else params


def _attribute(arguments: Arguments) -> AttributeRef:
    obis = arguments.obis()
    class_id = arguments.class_id(_REGISTER)
    return AttributeRef(class_id, obis, arguments.integer("attribute", 2, least=1, most=127))


def _reading(context: Context, ref: AttributeRef, scaler: int | None = None) -> Work:
    return Work(
        talk=lambda client: read(client, ref, context.options, scaler), what=f"reading {ref}"
    )


def _writing(
    context: Context, ref: AttributeRef, value: Any, type_: str | None, scaler: int | None = None
) -> Work:
    encode, attempt = context.encoder(ref, value, type_), Attempt()
    return Work(
        talk=lambda client: write(client, ref, encode, context.options, scaler, attempt=attempt),
        what=f"writing {ref}",
        changes=True,
        writes=ref,
        attempt=attempt,
    )


def _invoking(context: Context, method: MethodRef, value: Any, type_: str | None) -> Work:
    argument, attempt = context.argument(method, value, type_), Attempt()
    return Work(
        talk=lambda client: invoke(client, method, argument, attempt),
        what=f"invoking {method}",
        changes=True,
        attempt=attempt,
        writes=method,
        argument=context.shown_argument(method, argument),
    )
