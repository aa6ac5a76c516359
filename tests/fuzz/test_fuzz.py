"""The short form: what is kept, and some thousand changed inputs of each target, always the same.

`FUZZ_SEED=… pytest tests/fuzz` takes others. What a failure names goes into `corpus` as a file:

    printf %s HEX | xxd -r -p > tests/fuzz/corpus/TARGET/NAME
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given

from dlms_connector.protocol.data import Data, encode
from tests.fuzz.apdus import foreign_values, values
from tests.fuzz.damage import accepted, bursts, few_bits
from tests.fuzz.plain import fuzz
from tests.fuzz.table import CORPUS, TARGETS
from tests.fuzz.target import joined
from tests.fuzz.watch import check, interrupting
from tests.support.generated import ANY

SEED = int(os.environ.get("FUZZ_SEED", "1"))
#: Octets of all kept inputs together.
MOST_KEPT = 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_errors_of_ours_in_time(name: str) -> None:
    target = TARGETS[name]
    assert fuzz(target, target.short, SEED) == target.short


#: Long ones, which would take the time of all others if they were changed at random.
LONG = {
    "a readout octet by octet, with parity bits": (
        "readout",
        b"\1" + joined([b"/ABCa old\r\n" + b"\xb1" * 6000]),
    ),
    "data sets without values": ("readout", b"\0" + b"a" * 65536),
    "flags and formats": ("hdlc", b"\xff" + b"\x7e\xa0" * 16384),
    "blocks without an end": (
        "notifications",
        joined(
            b"\xe0\0" + number.to_bytes(2, "big") + b"\0\0\x82\x07\xd0" + bytes(2000)
            for number in range(1, 60)
        ),
    ),
    "beginnings of long frames": ("framings", b"\2\xff" + b"\x68" * 32768),
}


@pytest.mark.parametrize("name", LONG)
def test_long_inputs(name: str) -> None:
    target, octets = LONG[name]
    with interrupting():
        check(TARGETS[target], octets)


@given(ANY)
def test_gurux_reads_what_is_written_as_it_is_read_here(data: Data) -> None:
    foreign_values(encode(data))
    values(encode(data))


def test_no_wrong_pair_of_bits_and_no_short_burst_is_taken() -> None:
    """All of them are tried by `python -m tests.fuzz.damage`."""
    for damages in (few_bits(2), bursts(6)):
        count, taken = accepted(damages)
        assert count > 5000
        assert taken == 0


def test_what_is_kept_is_small_and_of_targets_that_there_are() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.glob("*/*")) < MOST_KEPT
