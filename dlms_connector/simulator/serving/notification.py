"""Unsolicited APDUs: DataNotification of the objects in the push setup (IEC 62056-5-3)."""

from __future__ import annotations

import asyncio

from dlms_connector.simulator.datalink.hdlc import POLL, UI
from dlms_connector.simulator.datalink.hdlc_frames import make_address, make_frame
from dlms_connector.simulator.datalink.wrapper import make_packet
from dlms_connector.simulator.encoding.data import encode, structure
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import moments
from dlms_connector.simulator.objects.cosem_object import logical_name
from dlms_connector.simulator.security import Protection, Wrapping, strength

PUSH_SETUP = logical_name("0-0:25.9.0")
_DATA_NOTIFICATION = 0x0F
_RESPONSE_LLC = b"\xe6\xe7\x00"
_INVOKE_ID = b"\x40\x00\x00\x01"


def make_notification(meter: Meter) -> bytes:
    """Return the DataNotification; ciphered (general-glo) if the meter's security requires it."""
    listed = meter.value(40, PUSH_SETUP, 2).value
    columns = (tuple(field.value for field in item.value) for item in listed)
    values = (meter.value(class_id, name, index) for class_id, name, index, _ in columns)
    time: bytes = moments.write(meter, meter.clock()).value
    head = bytes((_DATA_NOTIFICATION,)) + _INVOKE_ID + bytes((len(time),)) + time
    plain: bytes = head + encode(structure(*values))
    control = strength(meter)
    if not control:
        return plain
    wrapping = Wrapping(control | meter.options.security_suite, general=True)
    return Protection(meter, b"").seal(plain, wrapping)


def frame_notification(meter: Meter) -> bytes:
    """Return the notification in the meter's framing, to its configured client."""
    options, apdu = meter.options, make_notification(meter)
    if options.framing == "WRAPPER":
        return make_packet(options.logical_address, options.client_address, apdu)
    client = bytes((options.client_address << 1 | 1,))
    server = make_address(options.logical_address, options.physical_address)
    return make_frame(client, server, UI | POLL, _RESPONSE_LLC + apdu)


async def push(meter: Meter, host: str, port: int, *, udp: bool = False) -> None:
    """Send the notification to a listener and close the connection; raises OSError."""
    meter.seen["push"] += 1
    if not udp:
        _, writer = await asyncio.open_connection(host, port)
        writer.write(frame_notification(meter))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        return
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(host, port)
    )
    transport.sendto(frame_notification(meter))
    transport.close()
