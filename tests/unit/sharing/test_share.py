"""A gateway's share, and how its number is written."""

from __future__ import annotations

import pytest

from dlms_connector.sharing import WHOLE_FLEET, Share, ordinal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("dlms-gateway-2", 2),
        (" tb-10 \n", 10),
        ("gateway", None),
        ("gateway-", None),
        ("", None),
        ("-1", 1),
        ("1.5", None),
        ("9999999", None),
    ],
)
def test_ordinals(text: str, number: int | None) -> None:
    assert ordinal(text) == number


def test_each_key_is_in_one_share() -> None:
    shares = [Share(index, (1, 1, 2)) for index in range(3)]
    for key in map(str, range(200)):
        assert sum(share.holds(key) for share in shares) == 1


def test_who_is_alone_has_all() -> None:
    assert all(WHOLE_FLEET.holds(key) for key in map(str, range(100)))


def test_a_share_is_named() -> None:
    assert str(Share(1, (1, 1, 1))) == "1 of 3"
    assert str(Share(0, (2, 1))) == "0 of 2, weights 2,1"
