"""Calls that read and switch the supply's relay."""

from __future__ import annotations

from dlms_connector.commands.operations import Attempt
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
from dlms_connector.cosem import MethodRef
from dlms_connector.obis import Obis


def relay_reading(context: Context, arguments: Arguments) -> Work:
    """`getRelayState`: read output state, control state and control mode."""
    obis = _relay(arguments)
    return Work(talk=lambda client: relay_state(client, obis), what="reading the relay's state")


def disconnecting(context: Context, arguments: Arguments) -> Work:
    """`disconnectRelay`."""
    return _allowed(context, arguments, DISCONNECT)


def reconnecting(context: Context, arguments: Arguments) -> Work:
    """`reconnectRelay`."""
    return _allowed(context, arguments, RECONNECT)


def switching(obis: Obis, method: int) -> Work:
    """Return the work of switching a relay."""
    attempt = Attempt()
    return Work(
        talk=lambda client: switch_relay(client, obis, method, attempt),
        what="disconnecting the relay" if method == DISCONNECT else "reconnecting the relay",
        changes=True,
        attempt=attempt,
        writes=MethodRef(DISCONNECT_CONTROL, obis, method),
    )


def _allowed(context: Context, arguments: Arguments, method: int) -> Work:
    obis = _relay(arguments)
    require_write(context.device, arguments.method, obis)
    return switching(obis, method)


def _relay(arguments: Arguments) -> Obis:
    return arguments.obis() if "obis" in arguments.values else RELAY
