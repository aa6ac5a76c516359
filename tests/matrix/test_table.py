from tests.matrix.table import PARTS, fill
from tests.support.places import DOCS

METERS = DOCS / "meters.md"


def test_what_is_proved_is_documented() -> None:
    text = METERS.read_text("utf-8")
    assert fill(text) == text, "run: make docs"
    assert [part for part in PARTS if f"<!-- proved: {part} -->" not in text] == []
