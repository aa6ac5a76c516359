"""Meters that share a key and our system title: their counters use the same numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dlms_connector.config import Device
from dlms_connector.protocol.security import needs_keys

_MOST_NAMES = 5


def warn_of_shared_keys(devices: Iterable[Device], log: logging.Logger) -> None:
    """Log once which meters use the same key and the same system title of ours.

    Each meter checks its own invocation counter, so we keep one per meter. With one key and
    one title, several messages then use the same nonce, which breaks AES-GCM.
    """
    groups: dict[tuple[bytes, bytes], list[str]] = {}
    for device in devices:
        dlms = device.dlms
        if needs_keys(dlms) and dlms.block_cipher_key and dlms.system_title:
            owner = (dlms.system_title, bytes(dlms.block_cipher_key))
            groups.setdefault(owner, []).append(device.device_name)
    for names in groups.values():
        if len(names) > 1:
            listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
            log.warning(
                "%d meters share one blockCipherKey and systemTitle, so that whoever listens can "
                "read them: give each its own key, or at least its own systemTitle (%s)",
                len(names),
                listed,
            )
