"""The supply's relay: Disconnect control, class 70 (IEC 62056-6-2)."""

from __future__ import annotations

from dlms_connector.commands.operations import get_one
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError, ObjectError
from dlms_connector.interpret import interpret
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

RELAY = Obis(bytes((0, 0, 96, 3, 10, 255)))
DISCONNECT_CONTROL = 70
DISCONNECT, RECONNECT = 1, 2
_OUTPUT_STATE, _CONTROL_STATE, _CONTROL_MODE = 2, 3, 4

#: What each control mode lets a remote caller do: disconnect, reconnect.
_REMOTE = {
    0: (False, False),
    1: (True, True),
    2: (True, True),
    3: (True, False),
    4: (True, False),
    5: (True, True),
    6: (True, False),
}


def relay_state(client: Client, obis: Obis) -> Talk[dict[str, Value]]:
    """Read output state, control state and control mode. Raises ObjectError."""
    state: dict[str, Value] = {}
    for key, index in (
        ("outputState", _OUTPUT_STATE),
        ("controlState", _CONTROL_STATE),
        ("controlMode", _CONTROL_MODE),
    ):
        ref = AttributeRef(DISCONNECT_CONTROL, obis, index)
        data = yield from get_one(client, ref)
        state[key] = interpret(ref, data)[0]
    return state


def switch_relay(client: Client, obis: Obis, method: int) -> Talk[dict[str, Value]]:
    """Disconnect or reconnect, and return the state read back.

    Raises CommandError with the meter's control mode where it refuses or does nothing.
    """
    argument = Data(DataType.INTEGER, 0)
    try:
        yield from client.action(MethodRef(DISCONNECT_CONTROL, obis, method), argument)
    except ObjectError as error:
        state = yield from relay_state(client, obis)
        raise CommandError(f"{_doing(method)}: {error}; {_explain(state, method)}") from error
    state = yield from relay_state(client, obis)
    wanted = ("connected", "readyForReconnection") if method == RECONNECT else ("disconnected",)
    if method == DISCONNECT:
        wanted = ("disconnected", "readyForReconnection")
    if state["controlState"] not in wanted:
        raise CommandError(
            f"{_doing(method)}: the meter accepted the command, but the relay is "
            f"{state['controlState']}; {_explain(state, method)}"
        )
    return state


def _doing(method: int) -> str:
    return "disconnecting" if method == DISCONNECT else "reconnecting"


def _explain(state: dict[str, Value], method: int) -> str:
    mode = state["controlMode"]
    text = f"the control mode is {mode}"
    if isinstance(mode, int) and mode in _REMOTE and not _REMOTE[mode][method - 1]:
        text += f", which does not allow remote {_doing(method)}"
    return text
