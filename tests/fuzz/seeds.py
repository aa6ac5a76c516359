"""What fuzzing begins with: transcripts, recordings, and what simulated meters say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlms_connector.protocol.data import Data, DataType, array, encode, structure
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Connection
from tests.support.simulated import make_meter
from tests.support.talks import drive
from tests.support.transcripts import read_transcript, transcript_names

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.json"))
#: Longer answers are left out: a seed is to be short.
_LONGEST = 400
D = DataType


def frames_of_transcripts() -> list[bytes]:
    """Return the frames of meters in the transcripts."""
    return [
        frame for name in transcript_names() for who, frame in read_transcript(name) if who == "<"
    ]


@lru_cache(1)
def recorded_answers() -> list[bytes]:
    """Return answers of the recorded meters, one of each kind and length."""
    found: dict[tuple[bytes, int], bytes] = {}
    for path in RECORDINGS:
        for one in json.loads(path.read_text("utf-8"))["exchanges"]:
            if one["response"] and len(one["response"]) <= 2 * _LONGEST:
                answer = bytes.fromhex(one["response"])
                found.setdefault((answer[:5], len(answer) // 16), answer)
    return list(found.values())


def tapped(
    make: Callable[[], Talk[object]], meter: dict[str, Any], *, dribbled: bool = False
) -> list[bytes]:
    """Return what a simulated meter answers, piece by piece, in a conversation."""
    connection = Connection([make_meter(profile_days=1, **meter)])
    answers: list[bytes] = []

    def peer(sent: bytes) -> bytes:
        answer = connection.feed(sent)
        if answer:
            answers.append(answer)
        return answer

    drive(make(), peer)
    return answers


def values() -> Iterator[bytes]:
    """Yield COSEM data of every type."""
    numbers = {
        D.DOUBLE_LONG: -5, D.DOUBLE_LONG_UNSIGNED: 14_507_321, D.INTEGER: -3, D.LONG: -300,
        D.UNSIGNED: 7, D.LONG_UNSIGNED: 2337, D.LONG64: -(1 << 40), D.LONG64_UNSIGNED: 1 << 50,
        D.ENUM: 30, D.FLOAT32: 230.1, D.FLOAT64: 3.14, D.DELTA_LONG: -2, D.BCD: 42,
        D.BOOLEAN: True,
    }  # fmt: skip
    clock = bytes.fromhex("07ea0601010c000fff800080")
    simple = [Data(kind, value) for kind, value in numbers.items()]
    simple += [
        Data(D.OCTET_STRING, b"ELM4711"), Data(D.VISIBLE_STRING, b"ISK1030000000001"),
        Data(D.UTF8_STRING, "Zähler".encode()), Data(D.BIT_STRING, "1011"),
        Data(D.DATE_TIME, clock), Data(D.DATE, clock[:5]), Data(D.TIME, clock[5:9]), Data(D.NULL),
        Data(D.DONT_CARE), Data(D.OCTET_STRING, clock),
    ]  # fmt: skip
    rows = tuple(
        structure(Data(D.OCTET_STRING, clock), Data(D.LONG_UNSIGNED, number)) for number in range(3)
    )
    nested = [structure(*simple), array(*rows), array(), structure(), Data(D.COMPACT_ARRAY, rows)]
    yield from map(encode, simple + nested)
    deep = Data(D.UNSIGNED, 1)
    for _ in range(31):
        deep = structure(deep)
    yield encode(deep)
