"""What is sent again after a restart is what was sent first: same key, instant, value and type."""

from __future__ import annotations

import json
import logging
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from dlms_connector.obis import Obis
from dlms_connector.records import Entry, Records, Slice, Source
from dlms_converters.stored_value import stored_value

_LOG = logging.getLogger(__name__)
_PROFILE = Source("M1", Obis.parse("1-0:99.1.0"))
_START = 1_700_000_000_000


def _value(chance: random.Random) -> Any:
    digits = "".join(chance.choice("0123456789") for _ in range(chance.randint(1, 40)))
    return stored_value(
        chance.choice(
            (
                lambda: Decimal(digits).scaleb(-chance.randint(0, 30)),
                lambda: -int(digits),
                lambda: chance.choice((2**63 - 1, -(2**63), 2**63, 2**64, 0, 1, True, False)),
                lambda: digits,  # a text that looks like a number
                lambda: chance.choice(
                    ("", '"', "0.10", "1e5", "ä\u2028\ud800\0", "\U0001d7d8", "NaN")
                ),
                lambda: chance.uniform(-1, 1) * 10 ** chance.randint(-320, 300),
                lambda: {"a": [Decimal("1.10"), {"b": digits}], "": None},
                lambda: -0.0,
            )
        )()
    )


def _shape(entries: Any) -> list[tuple[int, str]]:
    """Return instants and values with their types, as JSON writes them, in order."""
    return [(one.ts_ms, json.dumps(dict(one.values))) for one in entries]


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    chance = random.Random(11)
    rows = [
        Entry(_PROFILE, "Meter", _START + at, {f"k{n}": _value(chance) for n in range(4)})
        for at in range(800)
    ]
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    instants = tuple(one.ts_ms for one in rows)
    first = records.keep(Slice(_PROFILE, 0, _START, _START + 1000, instants), rows)
    polled = records.journal([Entry(Source("M1"), "Meter", one.ts_ms, one.values) for one in rows])
    assert _shape(first) == _shape(polled) == _shape(rows)
    records.close()
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    again = records.pending(limit=5000)
    assert _shape(again) == _shape([*first, *polled])
    assert [one.number for one in again] == [one.number for one in (*first, *polled)]
    assert records.keep(Slice(_PROFILE, 0, _START, _START + 1000, instants), rows) == ()
    records.close()


def test_what_a_users_converter_yields_is_sent_first_as_it_is_kept(tmp_path: Path) -> None:
    records = Records.open(tmp_path / "records.sqlite", _LOG)
    odd = {"a": Decimal("1.50"), "b": (1, 2), "c": {1: Decimal("0.1")}}
    (first,) = records.journal([Entry(Source("M1"), "Meter", 1, odd)])
    (again,) = records.pending()
    assert _shape([first]) == _shape([again])
    records.close()
