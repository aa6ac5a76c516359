"""Checks of keys that are valid alone, but contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlms_connector.config.formula import DEFAULT_FORMULA, evaluate
from dlms_connector.config.inheritance import NAMED_LISTS, Location
from dlms_connector.config.model import (
    Device,
    Dlms,
    ListenConnection,
    SerialConnection,
    UdpConnection,
)
from dlms_connector.obis import Obis

Contradictions = Iterator[tuple[Location, str]]

#: Length in bytes of symmetric keys by suite (IEC 62056-5-3 clause 5: AES-128 and AES-256).
_KEY_BYTES = {0: 16, 1: 16, 2: 32}
#: Length in bytes of private keys by suite (the same clause: P-256 and P-384).
_SIGNING_KEY_BYTES = {1: 32, 2: 48}
_TITLE_BYTES = 8
_HDLC_ADDRESSES = 1 << 14
_WITH_PASSWORD = ("LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_SHA256")
#: Attributes that a data set of a readout has.
_IN_READOUTS = (2, 5)
#: HLS mechanisms whose proof includes the system title.
_WITH_TITLE = ("HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA")


def contradictions(device: Device) -> Contradictions:
    """Yield the location of each contradiction in a device, with a sentence."""
    for rule in _RULES:
        yield from rule(device)


def _framing(device: Device) -> Contradictions:
    where = ("dlms", "interfaceType")
    kind = device.dlms.interface_type
    if isinstance(device.connection, UdpConnection) and kind != "WRAPPER":
        yield where, f"{kind} does not go over udp: datagrams need WRAPPER"
    if isinstance(device.connection, SerialConnection) and kind == "WRAPPER":
        yield where, "WRAPPER does not go over a serial port: use HDLC or HDLC_WITH_MODE_E"


def _readout(device: Device) -> Contradictions:
    """Check a meter that is read out: it takes no requests."""
    if device.dlms.interface_type != "IEC_62056_21":
        return
    lists: dict[str, Sequence[Any]] = {
        "profiles": device.profiles,
        "attributeUpdates": device.attribute_updates,
        "serverSideRpc": device.server_side_rpc,
    }
    for where, entries in lists.items():
        if entries:
            yield (where,), "a meter that is read out (IEC_62056_21) has its items only"
    if isinstance(device.connection, ListenConnection) and device.connection.peer is None:
        yield ("connection", "peer"), "a meter that is read out (IEC_62056_21) is known by its peer"
    for place in ("attributes", "timeseries"):
        for index, item in enumerate(getattr(device, place)):
            if item.attribute not in _IN_READOUTS:
                yield (
                    (place, index, "attribute"),
                    "a readout has the value (2) and the time that stands behind it (5)",
                )


def _addresses(device: Device) -> Contradictions:
    dlms = device.dlms
    logical, size = dlms.logical_address, dlms.address_size
    if dlms.interface_type == "WRAPPER":
        return
    try:
        physical = _physical(dlms)
    except ValueError as error:
        yield ("dlms", "serialNumberFormula"), str(error)
        return
    if not 0 <= physical < _HDLC_ADDRESSES:
        formula = dlms.serial_number_formula or DEFAULT_FORMULA
        yield (
            ("dlms", "serialNumber"),
            f"{formula} makes {physical} of it, and an address is in 0..16383",
        )
        return
    if logical >= _HDLC_ADDRESSES:
        yield ("dlms", "logicalAddress"), f"{logical} is not in 0..16383, the range of HDLC"
    elif not _fits(logical, physical, size):
        yield (
            ("dlms", "addressSize"),
            f"logical address {logical} with physical address {physical} does not fit in "
            f"{size or 4} octets",
        )


def _physical(dlms: Dlms) -> int:
    """Return the physical address: the configured one, or computed from the serial number.

    Raises ValueError if the formula cannot be evaluated.
    """
    if dlms.serial_number is None:
        return dlms.physical_address
    return evaluate(dlms.serial_number_formula or DEFAULT_FORMULA, dlms.serial_number)


def _fits(logical: int, physical: int, size: int | None) -> bool:
    """Return whether an HDLC server address fits its size in octets (IEC 62056-46, 6.4.2).

    Each octet carries seven bits of the address.
    """
    if size == 1:
        return (logical == 0 and physical < 0x80) or (physical == 0 and logical < 0x80)
    if logical == 0:  # the physical address may use all bits
        return physical < _HDLC_ADDRESSES
    return max(logical, physical) < (0x80 if size == 2 else _HDLC_ADDRESSES)


def _credentials(device: Device) -> Contradictions:
    dlms = device.dlms
    kind = dlms.authentication
    if kind in _WITH_PASSWORD and dlms.password is None:
        yield ("dlms", "password"), f"authentication {kind} needs a password"
    if kind in _WITH_TITLE and dlms.system_title is None:
        yield ("dlms", "systemTitle"), f"authentication {kind} needs a systemTitle"
    if kind == "HIGH_GMAC":
        for key, value in _keys(dlms).items():
            if key not in ("broadcastKey", "dedicatedKey") and value is None:
                yield ("dlms", key), f"authentication {kind} needs this key"
    sign = device.workarounds.sign
    if kind == "HIGH_ECDSA":
        yield from _signing(dlms, "authentication HIGH_ECDSA")
    elif sign != "never":
        yield from _signing(dlms, f"sign {sign}")
        if dlms.system_title is None and kind not in _WITH_TITLE:
            yield ("dlms", "systemTitle"), f"sign {sign} needs a systemTitle"


def _signing(dlms: Dlms, why: str) -> Contradictions:
    suite = dlms.security_suite
    if (size := _SIGNING_KEY_BYTES.get(suite)) is None:
        yield ("dlms", "securitySuite"), f"{why} needs suite 1 or 2"
        return
    # A public key is written with or without the 04 of an uncompressed point.
    sizes = {"signingKey": (size,), "serverSigningKey": (2 * size, 2 * size + 1)}
    keys = {"signingKey": dlms.signing_key, "serverSigningKey": dlms.server_signing_key}
    for key, value in keys.items():
        if value is None:
            yield ("dlms", key), f"{why} needs this key"
        elif len(value) not in sizes[key]:
            yield (
                ("dlms", key),
                f"has {len(value)} bytes; with suite {suite} it has {sizes[key][0]}",
            )


def _ciphering(device: Device) -> Contradictions:
    dlms = device.dlms
    pushed = device.push.security or dlms.security
    security = dlms.security if device.is_polled else pushed
    if security != "NONE":
        if (
            device.is_polled
            and dlms.system_title is None
            and dlms.authentication not in _WITH_TITLE
        ):
            yield ("dlms", "systemTitle"), f"security {dlms.security} needs a systemTitle"
        needed = set() if dlms.broadcast_key and not device.is_polled else {"blockCipherKey"}
        needed |= set() if security == "ENCRYPTION" else {"authenticationKey"}
        for key, value in _keys(dlms).items():
            if key in needed and value is None and dlms.authentication != "HIGH_GMAC":
                yield ("dlms", key), f"security {security} needs this key"
    if dlms.dedicated_key is not None and "ENCRYPTION" not in dlms.security:
        yield ("dlms", "security"), "a dedicatedKey travels ciphered: security must encrypt"
    wanted = _KEY_BYTES[dlms.security_suite]
    for key, value in _keys(dlms).items():
        if value is not None and len(value) != wanted:
            yield (
                ("dlms", key),
                f"has {len(value)} bytes; keys of suite {dlms.security_suite} have {wanted}",
            )
    titles = {
        ("dlms", "systemTitle"): dlms.system_title,
        ("dlms", "serverSystemTitle"): dlms.server_system_title,
        ("push", "systemTitle"): device.push.system_title,
    }
    for where, title in titles.items():
        if title is not None and len(title) != _TITLE_BYTES:
            yield where, f"has {len(title)} bytes; a system title has {_TITLE_BYTES}"


def _keys(dlms: Dlms) -> dict[str, bytes | None]:
    return {
        "broadcastKey": dlms.broadcast_key,
        "authenticationKey": dlms.authentication_key,
        "blockCipherKey": dlms.block_cipher_key,
        "dedicatedKey": dlms.dedicated_key,
    }


def _names(device: Device) -> Contradictions:
    """Find entries of the same name, which would overwrite each other on the platform."""
    lists: dict[str, Sequence[Any]] = {
        "attributes": device.attributes,
        "timeseries": device.timeseries,
        "attributeUpdates": device.attribute_updates,
        "serverSideRpc": device.server_side_rpc,
    }
    for where, entries in lists.items():
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            name = getattr(entry, NAMED_LISTS[where])
            if name in seen:
                yield (where, index, NAMED_LISTS[where]), f"{name!r} is there already"
            seen.add(name)


def _profiles(device: Device) -> Contradictions:
    """Find profiles and columns whose rows would overwrite each other on the platform."""
    seen: set[str] = set()
    prefixed: set[str] = set()
    for index, profile in enumerate(device.profiles):
        if profile.key is not None:
            if profile.key in prefixed:
                yield ("profiles", index, "key"), f"{profile.key!r} is there already"
            prefixed.add(profile.key)
        captured: set[tuple[Obis, int, int]] = set()
        for number, column in enumerate(profile.columns):
            where = ("profiles", index, "columns", number)
            attribute = (column.obis, column.attribute, column.part)
            if attribute in captured:
                yield (*where, "obis"), f"{column.obis} is there already"
            captured.add(attribute)
            if column.key is not None:
                if column.key in seen:
                    yield (*where, "key"), f"{column.key!r} is there already"
                seen.add(column.key)


def _dial_in(device: Device) -> Contradictions:
    """Check a meter that dials in: an unidentified caller gets no secret in clear text."""
    connection, dlms = device.connection, device.dlms
    if not isinstance(connection, ListenConnection):
        return
    marks = {
        "peer": connection.peer,
        "serialNumber": connection.serial_number,
        "systemTitle": connection.system_title,
    }
    given = [key for key, value in marks.items() if value is not None]
    if len(given) != 1:
        named = " and ".join(given) or "nothing"
        yield (
            ("connection", given[-1] if given else "peer"),
            f"a meter that dials in is known by one of {', '.join(marks)}; given: {named}",
        )
        return
    title = connection.system_title
    if title is not None and len(title) != _TITLE_BYTES:
        yield (
            ("connection", "systemTitle"),
            f"has {len(title)} bytes; a system title has {_TITLE_BYTES}",
        )
    if connection.peer is not None or connection.identify_as == "public":
        return
    if dlms.authentication == "LOW" and not connection.allow:
        yield (
            ("connection", "allow"),
            "authentication LOW shows its password to whoever calls: name the networks that may "
            "call, or set identifyAs to public",
        )
    if dlms.security != "NONE" and dlms.invocation_counter is None:
        yield (
            ("dlms", "invocationCounter"),
            "needed to ask a caller who it is by a ciphered association, unless identifyAs is "
            "public",
        )


def _base_names(device: Device) -> Contradictions:
    told: dict[tuple[int, Obis], int] = {}
    for place in ("attributes", "timeseries", "attribute_updates", "server_side_rpc"):
        for index, row in enumerate(getattr(device, place)):
            if row.base_name is None:
                continue
            where = (_KEY_OF.get(place, place), index, "baseName")
            if device.dlms.referencing != "SN":
                yield where, "only meters with short names have one: dlms.referencing is LN"
            elif told.setdefault((row.class_id, row.obis), row.base_name) != row.base_name:
                yield where, f"{row.obis} has another baseName before"


_KEY_OF = {"attribute_updates": "attributeUpdates", "server_side_rpc": "serverSideRpc"}

_RULES: Sequence[Callable[[Device], Contradictions]] = (
    _framing,
    _readout,
    _dial_in,
    _addresses,
    _credentials,
    _ciphering,
    _names,
    _profiles,
    _base_names,
)
