"""Image transfer (class 18): blocks in any order, then verification and activation."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import (
    BIT_STRING,
    NOTHING,
    OCTETS,
    UINT32,
    Data,
    array,
    boolean,
    enum,
    octets,
    structure,
    u32,
)
from dlms_connector.simulator.objects.cosem_object import (
    OTHER_REASON,
    AccessError,
    CosemObject,
    logical_name,
)
from dlms_connector.simulator.objects.image import (
    ACTIVATED,
    BLOCK_SIZE,
    INITIATED,
    VERIFICATION_FAILED,
    VERIFIED,
    Image,
)
from dlms_connector.simulator.objects.shape import fields
from dlms_connector.simulator.objects.view import MeterView

NAME = logical_name("0-0:44.0.0")
_LARGEST = 1_000_000


def _initiate(meter: MeterView, argument: Data) -> Data:
    identifier, size = fields(argument, OCTETS, UINT32)
    if not meter.value(18, NAME, 5).value or not 0 < size <= _LARGEST:
        raise AccessError(OTHER_REASON)
    meter.image = Image(identifier, size, INITIATED)
    return NOTHING


def _block(meter: MeterView, argument: Data) -> Data:
    number, part = fields(argument, UINT32, OCTETS)
    image = meter.image
    if image.status != INITIATED or number >= image.count or len(part) > BLOCK_SIZE:
        raise AccessError(OTHER_REASON)
    image.blocks[number] = part
    return NOTHING


def _verify(meter: MeterView, argument: Data) -> Data:
    image = meter.image
    if image.status not in (INITIATED, VERIFIED, VERIFICATION_FAILED):
        raise AccessError(OTHER_REASON)
    whole = len(image.blocks) == image.count and len(image.octets) == image.size
    image.status = VERIFIED if whole else VERIFICATION_FAILED
    if not whole:
        raise AccessError(OTHER_REASON)
    return NOTHING


def _activate(meter: MeterView, argument: Data) -> Data:
    if meter.image.status != VERIFIED:
        raise AccessError(OTHER_REASON)
    meter.image.status = ACTIVATED
    return NOTHING


def _received(meter: MeterView) -> Data:
    image = meter.image
    return Data(BIT_STRING, "".join("1" if n in image.blocks else "0" for n in range(image.count)))


def _first_missing(meter: MeterView) -> Data:
    image = meter.image
    missing = (n for n in range(image.count) if n not in image.blocks)
    return u32(next(missing, image.count))


def _to_activate(meter: MeterView) -> Data:
    image = meter.image
    if image.status not in (VERIFIED, ACTIVATED):
        return array()
    return array(structure(u32(image.size), octets(image.identifier), octets(b"")))


def make_image_transfer() -> CosemObject:
    """Make the image transfer object."""
    return CosemObject(
        18,
        NAME,
        {
            2: u32(BLOCK_SIZE),
            3: _received,
            4: _first_missing,
            5: boolean(True),
            6: lambda meter: enum(meter.image.status),
            7: _to_activate,
        },
        writable={5: None},
        methods={1: _initiate, 2: _block, 3: _verify, 4: _activate},
    )
