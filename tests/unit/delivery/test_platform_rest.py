"""Requests to the platform whose outcome shows no secret."""

from __future__ import annotations

import pytest

from dlms_connector.delivery import PlatformRest, RestError

_URL = "http://127.0.0.1:9"


@pytest.mark.parametrize("secret", [b"SECRET\nkey", "SECRET\u20ac".encode(), b"SECRET\xff"])
def test_an_api_key_that_no_header_can_hold_is_told_and_not_shown(secret: bytes) -> None:
    """A file with a secret may end in a line break, and http.client quotes what it refuses."""
    rest = PlatformRest(_URL, api_key=secret)
    with pytest.raises(RestError, match=r"check platform\.apiKey") as told:
        rest.counts("M1", "load", 0, 8)
    assert "SECRET" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_password_that_is_no_text_is_told_and_not_shown() -> None:
    rest = PlatformRest(_URL, username="tenant", password=b"SECRET\xff")
    with pytest.raises(RestError, match=r"check platform\.password") as told:
        rest.counts("M1", "load", 0, 8)
    assert "SECRET" not in str(told.value)
