"""A recording of a meter, as `dlms-connector record` writes it, for a simulated one to serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMAT, VERSION = "dlms-connector recording", 1
_LARGEST = 64_000_000
#: A wPort has two octets; addresses of HDLC are smaller.
_LARGEST_ADDRESS = 0xFFFF
_ADDRESSES = {
    "clientAddress": "client_address",
    "logicalAddress": "logical_address",
    "physicalAddress": "physical_address",
}


def read_recording(path: Path) -> dict[str, Any]:
    """Return the options of a meter that serves a recording.

    Raises ValueError if the file is none, or if nothing in it can be replayed; OSError.
    """
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} octets")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("it is no recording of `dlms-connector record`")
    if content.get("version") != VERSION:
        raise ValueError(f"its version is {content.get('version')!r}, this program reads {VERSION}")
    try:
        device = content["device"]
        if device["security"] != "NONE":
            raise ValueError("a ciphered conversation cannot be replayed: its keys are not in it")
        exchanges = [
            (bytes.fromhex(one["request"]), _octets(one["response"]))
            for one in content["exchanges"]
        ]
        options = {ours: device[key] for key, ours in _ADDRESSES.items() if device[key] is not None}
        referencing = device.get("referencing", "LN")
        framing = "WRAPPER" if device["interfaceType"] == "WRAPPER" else "HDLC"
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is damaged: {error!r}") from None
    if not exchanges:
        raise ValueError("nothing was recorded")
    if any(b"" in exchange for exchange in exchanges):
        raise ValueError("it is damaged: a request or an answer is empty")
    for name, address in options.items():
        if type(address) is not int or not 0 <= address <= _LARGEST_ADDRESS:
            raise ValueError(f"it is damaged: {name} is {address!r}")
    if referencing not in ("LN", "SN"):
        raise ValueError(f"it is damaged: referencing is {referencing!r}")
    return {
        **options,
        "framing": framing,
        "referencing": referencing,
        "recording": exchanges,
    }


def _octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
