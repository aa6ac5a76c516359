"""Meters that share a key and our system title."""

from __future__ import annotations

import logging

import pytest

from dlms_connector.config.model import Device
from dlms_connector.fleet.shared_keys import warn_of_shared_keys

LOG = logging.getLogger("test.shared_keys")


def device(name: str, key: int = 1, title: str = "4142430000000001", **dlms: str) -> Device:
    keys = {
        "systemTitle": title,
        "blockCipherKey": bytes([key] * 16).hex(),
        "authenticationKey": bytes(16).hex(),
        "security": "AUTHENTICATION_ENCRYPTION",
    }
    return Device.model_validate(
        {"deviceName": name, "connection": {"type": "tcp", "host": "h"}, "dlms": keys | dlms}
    )


def test_one_line_names_them(caplog: pytest.LogCaptureFixture) -> None:
    shared = [device(f"M{n}") for n in range(1, 8)]
    warn_of_shared_keys([*shared, device("other", key=2)], LOG)
    (record,) = caplog.records
    assert record.getMessage().startswith("7 meters share one blockCipherKey and systemTitle")
    assert "(M1, M2, M3, M4, M5, …)" in record.getMessage()
    assert "0101" not in record.getMessage()


def test_different_keys_or_titles_are_fine(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_shared_keys(
        [device("M1"), device("M2", key=2), device("M3", title="4142430000000002")], LOG
    )
    warn_of_shared_keys([device("M1", security="NONE"), device("M2", security="NONE")], LOG)
    assert caplog.records == []
