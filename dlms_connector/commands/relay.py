"""The supply's relay: Disconnect control, class 70 (IEC 62056-6-2)."""

from __future__ import annotations

from dlms_connector.commands.operations import Attempt
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError, DlmsError, ObjectError, ServiceError
from dlms_connector.interpret import interpret
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, ask, get_one
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.directive import Pause
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

RELAY = Obis(bytes((0, 0, 96, 3, 10, 255)))
DISCONNECT_CONTROL = 70
DISCONNECT, RECONNECT = 1, 2
_CONTROL_STATE = 3
#: The attributes of its state, by the names under which they are told.
_STATE = {"outputState": 2, "controlState": _CONTROL_STATE, "controlMode": 4}

#: A relay needs time to switch: how often its state is read, and the seconds in between.
_LOOKS, _LOOK_AGAIN_S = 5, 0.25

#: The effect of a remote reconnection in each control mode (Blue Book, class 70).
_NEVER, _AT_THE_METER, _AT_ONCE = "never", "at the meter", "at once"
_REMOTE = {
    0: _NEVER,
    1: _AT_THE_METER,
    2: _AT_ONCE,
    3: _AT_THE_METER,
    4: _AT_ONCE,
    5: _AT_THE_METER,
    6: _AT_THE_METER,
}


def relay_state(client: Client, obis: Obis) -> Talk[dict[str, Value]]:
    """Read output state, control state and control mode; None for what the meter refuses.

    Raises ObjectError or ServiceError if it refuses both states.
    """
    refs = [AttributeRef(DISCONNECT_CONTROL, obis, index) for index in _STATE.values()]
    answers = yield from ask(client, refs)
    state: dict[str, Value] = {
        key: interpret(ref, data)[0] if isinstance(data, Data) else None
        for key, ref, data in zip(_STATE, refs, answers, strict=True)
    }
    refusal = next((one for one in answers if isinstance(one, DlmsError)), None)
    if refusal and state["outputState"] is state["controlState"] is None:
        raise refusal
    return state


def switch_relay(
    client: Client, obis: Obis, method: int, attempt: Attempt | None = None
) -> Talk[dict[str, Value]]:
    """Disconnect or reconnect, and return the state read back.

    `attempt` receives the previous control state and the intended one. Raises CommandError
    with the meter's control mode if the meter refuses or the relay does not switch.
    """
    if attempt is not None:
        attempt.begin((yield from _control_state(client, obis)), _REACHED[method][0])
    argument = Data(DataType.INTEGER, 0)
    try:
        yield from client.action(MethodRef(DISCONNECT_CONTROL, obis, method), argument)
    except (ObjectError, ServiceError) as error:
        try:
            state = yield from relay_state(client, obis)
        except (ObjectError, ServiceError):
            raise error from None
        raise CommandError(f"{_doing(method)}: {error}; {_explain(state, method)}") from error
    try:
        state = yield from relay_state(client, obis)
        for _ in range(_LOOKS - 1):
            if _reached(state, method):
                break
            yield Pause(_LOOK_AGAIN_S)
            state = yield from relay_state(client, obis)
    except (ObjectError, ServiceError) as error:
        return {"note": f"the meter accepted the command and does not tell its state: {error}"}
    if not _reached(state, method):
        shown = "connected" if state["outputState"] else "disconnected"
        raise CommandError(
            f"{_doing(method)}: the meter accepted the command, but the relay is "
            f"{state['controlState'] or shown}; {_explain(state, method)}"
        )
    if method == RECONNECT and state["controlState"] == "readyForReconnection":
        return {**state, "note": "somebody has to close the relay at the meter"}
    return state


def _control_state(client: Client, obis: Obis) -> Talk[Value]:
    """Return the control state; None if the meter refuses to read it."""
    ref = AttributeRef(DISCONNECT_CONTROL, obis, _CONTROL_STATE)
    try:
        return interpret(ref, (yield from get_one(client, ref)))[0]
    except (ObjectError, ServiceError):
        return None  # a real problem shows again at the command itself


#: The control states that a command can lead to; the first is the intended one.
_REACHED = {
    DISCONNECT: ("disconnected", "readyForReconnection"),
    RECONNECT: ("connected", "readyForReconnection"),
}


def _reached(state: dict[str, Value], method: int) -> bool:
    """Whether the relay has switched; by its output state if the control state is unknown."""
    if state["controlState"] is None:
        return state["outputState"] is (method == RECONNECT)
    return state["controlState"] in _REACHED[method]


def _doing(method: int) -> str:
    return "disconnecting" if method == DISCONNECT else "reconnecting"


def _explain(state: dict[str, Value], method: int) -> str:
    mode = state["controlMode"]
    if mode is None:
        return "the meter does not tell its control mode"
    text = f"the control mode is {mode}"
    remote = _REMOTE.get(mode) if isinstance(mode, int) else None
    if remote == _NEVER:
        text += ", in which the relay cannot be switched"
    elif remote == _AT_THE_METER and method == RECONNECT:
        text += ", in which a reconnection ends with somebody at the meter"
    return text
