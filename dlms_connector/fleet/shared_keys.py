"""Meters that share a key and our system title: whoever reads the key out of one reads all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from dlms_connector.config import Device
from dlms_connector.protocol.security import needs_keys

_MOST_NAMES = 5


def warn_of_shared_keys(
    devices: Iterable[Device], log: logging.Logger, known: Collection[str] = ()
) -> None:
    """Log once which meters use the same key and the same system title of ours.

    They share one invocation counter too, so that no nonce is used twice. But a key that is
    read out of one meter opens all of them. It has been said before of those that are `known`.
    """
    groups: dict[tuple[bytes, bytes], list[str]] = {}
    for device in devices:
        dlms = device.dlms
        if needs_keys(dlms) and dlms.block_cipher_key and dlms.system_title:
            owner = (dlms.system_title, bytes(dlms.block_cipher_key))
            groups.setdefault(owner, []).append(device.device_name)
    for names in groups.values():
        if len(names) > 1 and not all(name in known for name in names):
            listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
            log.warning(
                "%d meters share one blockCipherKey and systemTitle: they share one invocation "
                "counter, and whoever gets the key of one can read them all; give each meter its "
                "own key (%s)",
                len(names),
                listed,
            )
