"""Image transfer, class 18 (IEC 62056-6-2): the conversations of a firmware update."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.commands.image_file import Image
from dlms_connector.commands.operations import Attempt
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import (
    TEMPORARY_FAILURE,
    CommandError,
    DlmsError,
    ObjectError,
    ServiceError,
)
from dlms_connector.interpret import interpret
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, ask
from dlms_connector.protocol.data import Data, DataType, structure
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

IMAGE_TRANSFER = 18
IMAGE = Obis(bytes((0, 0, 44, 0, 0, 255)))
_BLOCK_SIZE, _FIRST_MISSING, _ENABLED, _STATUS, _TO_ACTIVATE = 2, 4, 5, 6, 7
_INITIATE, _BLOCK, _VERIFY, _ACTIVATE = 1, 2, 3, 4
#: image_transfer_status
INITIATED, VERIFICATION_SUCCESSFUL = 1, 3
#: What to do if the status is not "verified", where it is not to call verifyImage.
_BEFORE_ACTIVATION = {
    2: "ask again later",
    5: "it is being activated: ask again later",
    6: "it is active already",
}

_ZERO = Data(DataType.INTEGER, 0)


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a meter's image transfer; `state` is its status in words.

    `first_missing` is the first block not transferred, None if the meter does not give it.
    """

    block_size: int
    first_missing: int | None
    enabled: bool
    status: int
    state: str

    def describe(self) -> dict[str, Value]:
        """Return the result for the caller."""
        return {
            "meterState": self.state,
            "transferEnabled": self.enabled,
            "blockSize": self.block_size,
            "firstBlockNotTransferred": self.first_missing,
        }

    def blocks(self, image: Image) -> int:
        """Return how many blocks an image has."""
        return -(-image.size // self.block_size)


def _ref(attribute: int) -> AttributeRef:
    return AttributeRef(IMAGE_TRANSFER, IMAGE, attribute)


def survey(client: Client) -> Talk[Survey]:
    """Read the state of the image transfer.

    Raises ObjectError or ServiceError if the meter has none.
    """
    refs = [_ref(one) for one in (_BLOCK_SIZE, _FIRST_MISSING, _ENABLED, _STATUS)]
    size, missing, enabled, status = yield from ask(client, refs)
    if isinstance(size, DlmsError):
        raise size
    if isinstance(status, DlmsError):
        raise status
    if not isinstance(size.value, int) or size.value < 1:
        raise CommandError(f"the meter tells no block size, but {size.value!r}")
    number = status.value if isinstance(status.value, int) else 0
    first = missing.value if isinstance(missing, Data) else None
    return Survey(
        size.value,
        # Some meters give it only during a transfer, some never.
        first if isinstance(first, int) and first >= 0 else None,
        not isinstance(enabled, Data) or bool(enabled.value),
        number,
        str(interpret(_ref(_STATUS), status)[0]),
    )


def initiate(client: Client, image: Image) -> Talk[Survey]:
    """Start a new transfer; the meter discards the blocks it has. Raises ObjectError."""
    argument = structure(
        Data(DataType.OCTET_STRING, image.identifier),
        Data(DataType.DOUBLE_LONG_UNSIGNED, image.size),
    )
    try:
        yield from client.action(MethodRef(IMAGE_TRANSFER, IMAGE, _INITIATE), argument)
    except ObjectError as error:
        doing = f"initiating the transfer of {image.size} octets as {image.identifier!r}"
        raise ObjectError(doing, error.code) from error
    return (yield from survey(client))


def send_blocks(client: Client, image: Image, block_size: int, first: int, count: int) -> Talk[int]:
    """Send some blocks and return the number of the next. Raises ObjectError."""
    for number in range(first, first + count):
        part = image.octets[number * block_size : (number + 1) * block_size]
        if not part:
            return number
        argument = structure(
            Data(DataType.DOUBLE_LONG_UNSIGNED, number), Data(DataType.OCTET_STRING, part)
        )
        yield from client.action(MethodRef(IMAGE_TRANSFER, IMAGE, _BLOCK), argument)
    return first + count


def verify(client: Client, attempt: Attempt) -> Talk[dict[str, Value]]:
    """Have the meter verify the image. Raises CommandError with the meter's state."""
    attempt.begin()
    yield from _invoke(client, _VERIFY, "verifying the image")
    return (yield from _outcome(client))


def activate(client: Client, attempt: Attempt) -> Talk[dict[str, Value]]:
    """Activate a verified image. Raises CommandError if it is not verified."""
    before = yield from survey(client)
    if before.status != VERIFICATION_SUCCESSFUL:
        todo = _BEFORE_ACTIVATION.get(before.status, "call verifyImage first")
        raise CommandError(
            f"only a verified image is activated, and the meter's state is {before.state}; {todo}"
        )
    attempt.begin()
    yield from _invoke(client, _ACTIVATE, "activating the image")
    return (yield from _outcome(client))


def _invoke(client: Client, method: int, doing: str) -> Talk[None]:
    try:
        yield from client.action(MethodRef(IMAGE_TRANSFER, IMAGE, method), _ZERO)
    except ObjectError as error:
        if error.code == TEMPORARY_FAILURE:
            return  # still in progress; the state shows the result
        state = (yield from survey(client)).state
        raise CommandError(f"{doing}: {error}; the meter's state is {state}") from error


def _outcome(client: Client) -> Talk[dict[str, Value]]:
    after = yield from survey(client)
    result: dict[str, Value] = {"meterState": after.state}
    try:
        (info,) = yield from client.get([_ref(_TO_ACTIVATE)])
    except ServiceError:
        return result
    if isinstance(info, Data):
        result["imageToActivate"] = interpret(_ref(_TO_ACTIVATE), info)[0]
    return result
