from pathlib import Path

from tests.matrix.table import PARTS, fill

METERS = Path(__file__).parents[2] / "docs" / "meters.md"


def test_what_is_proved_is_documented() -> None:
    text = METERS.read_text("utf-8")
    assert fill(text) == text, "run: make docs"
    assert [part for part in PARTS if f"<!-- proved: {part} -->" not in text] == []
