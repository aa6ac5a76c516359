"""The collector of leaked secrets finds them in every way that they may be written."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.support.leaks import Collector

SECRET = bytes.fromhex("7B41C3A95D20E0F118FF3C2277B80E64")


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        SECRET.hex(),
        SECRET.hex(" ").upper(),
        SECRET.hex(":"),
        repr(SECRET),
        f"{SECRET!r} in {repr(SECRET)!r}",
        str(list(SECRET)),
        json.dumps([*SECRET], separators=(",", ":")),
        base64.b64encode(SECRET),
        base64.b64encode(b"x" + SECRET + b"more"),
        base64.urlsafe_b64encode(b"xy" + SECRET),
        quote(SECRET),
        "".join(f"%{octet:02X}" for octet in SECRET),
        "".join(f"\\x{octet:02X}" for octet in SECRET),
        json.dumps(SECRET.decode("latin-1")),
        SECRET.decode("latin-1"),
        SECRET[::-1],
    ],
    ids=lambda shown: repr(shown)[:20],
)
def test_a_secret_is_found(shown: bytes | str) -> None:
    collector = Collector({"the key": SECRET})
    before = shown if isinstance(shown, bytes) else shown.encode()
    collector.take("a log", b"something " + before + b" more")
    with pytest.raises(AssertionError, match="a log shows the key as"):
        collector.check()


def test_what_shows_none() -> None:
    collector = Collector({"the key": SECRET})
    collector.take("a log", "something " + SECRET.hex()[:-2] + "<secret, 16 bytes>")
    collector.check()
    assert collector.looked_at == {"a log": 58}
