"""Addresses of HDLC stations, IEC 62056-46 clause 6.4.2.

A server address has an upper part (the logical device) and a lower part (the
physical device); it takes 1, 2 or 4 octets on the line. The lowest bit is set
only in the last octet, so each octet holds 7 bits of the address.
"""

from __future__ import annotations

from dlms_connector.config import DEFAULT_FORMULA, Dlms, evaluate
from dlms_connector.errors import ConfigError


def client_address(client: int) -> bytes:
    """Return the one octet of a client's address (1 to 127)."""
    return bytes((client << 1 | 1,))


def server_address(logical: int, physical: int, size: int | None = None) -> bytes:
    """Return the octets of a server's address.

    Without `size`, use the shortest form that holds the address. An upper address
    of 0 means "no station". So with `logical` 0, `physical` is the whole address in
    one field: 144 is then the same as logical 1, physical 16. Raises ConfigError if
    the address does not fit.
    """
    widths = (1, 2, 4) if size is None else (size,)
    for width in widths:
        if (value := _whole(logical, physical, width)) is not None:
            return _octets(value, width)
    fits = f"{widths[-1]} octets"
    raise ConfigError(
        f"dlms.addressSize: logical address {logical} with physical address {physical} "
        f"does not fit in {fits}"
    )


def server_address_of(dlms: Dlms) -> bytes:
    """Return the octets of a configured server's address. Raises ConfigError."""
    physical = dlms.physical_address
    if dlms.serial_number is not None:
        formula = dlms.serial_number_formula or DEFAULT_FORMULA
        physical = evaluate_formula(formula, dlms.serial_number)
        if not 0 <= physical < 0x4000:
            raise ConfigError(
                f"dlms.serialNumberFormula: {formula} makes {physical} of the serial number, "
                "and an address is in 0..16383"
            )
    return server_address(dlms.logical_address, physical, dlms.address_size)


def is_broadcast(address: bytes) -> bool:
    """Return whether this server address is for all physical devices."""
    lower = address[len(address) // 2 :]
    return all(octet | 1 == 0xFF for octet in lower)


def split_server_address(address: bytes) -> tuple[int, int]:
    """Split the octets of a server's address into logical and physical address."""
    value = 0
    for octet in address:
        value = value << 7 | octet >> 1
    width = len(address)
    return (0, value) if width == 1 else divmod(value, 1 << (7 * width // 2))


def evaluate_formula(formula: str, serial_number: int) -> int:
    """Compute an address from a serial number. Raises ConfigError."""
    try:
        return evaluate(formula, serial_number)
    except ValueError as error:
        raise ConfigError(f"dlms.serialNumberFormula: {error}") from error


def _whole(logical: int, physical: int, width: int) -> int | None:
    """Return an address as one number; None if it does not fit into `width` octets."""
    if width == 1:
        whole = physical if logical == 0 else logical if physical == 0 else 0x80
        return whole if whole < 0x80 else None
    half = 7 * width // 2
    if logical == 0:
        return physical if physical < 1 << 14 else None
    if logical < 1 << half and physical < 1 << half:
        return logical << half | physical
    return None


def _octets(value: int, width: int) -> bytes:
    """Encode a number with seven bits per octet; the last octet has its lowest bit set."""
    octets = bytearray((value >> 7 * place & 0x7F) << 1 for place in reversed(range(width)))
    octets[-1] |= 1
    return bytes(octets)
