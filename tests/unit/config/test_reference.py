import pytest

from dlms_connector.config import preset
from dlms_connector.config.reference import PARTS, fill
from dlms_connector.config.schema import document_schema
from tests.support.places import DOCS


@pytest.mark.parametrize("name", ["configuration.md", "meters.md"])
def test_generated_parts_are_current(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    assert fill(text) == text, "run: python -m dlms_connector.config.reference docs"


def test_every_part_stands_in_a_document() -> None:
    texts = "".join(path.read_text("utf-8") for path in DOCS.glob("*.md"))
    assert [part for part in PARTS if f"<!-- generated: {part} -->" not in texts] == []


def test_the_reference_names_every_key() -> None:
    text = (DOCS / "configuration.md").read_text("utf-8")
    schema = document_schema()
    keys = {
        key
        for node in schema["$defs"].values()
        for key in node.get("properties", {})
        if "deprecated" not in node
    }
    assert [key for key in keys if f"| `{key}` |" not in text] == []


def test_the_table_names_every_preset() -> None:
    text = (DOCS / "meters.md").read_text("utf-8")
    assert [name for name in preset.names() if f"### {name}\n" not in text] == []


def test_unknown_parts_are_an_error() -> None:
    with pytest.raises(KeyError):
        fill("<!-- generated: nothing -->\n<!-- end -->")
