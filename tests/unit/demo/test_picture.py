"""The picture of the demo."""

from xml.etree import ElementTree

from rich.table import Table

from dlms_connector.demo.picture import picture


def drawn() -> str:
    table = Table("device", "value")
    table.add_row("DLMS-Meter-01", "230.17")
    return picture(table, "dlms-connector demo")


def test_it_shows_the_command_and_the_view() -> None:
    words = " ".join(ElementTree.fromstring(drawn()).itertext()).replace("\xa0", " ")
    for shown in ("dlms-connector demo", "DLMS-Meter-01", "230.17"):
        assert shown in words


def test_it_fetches_nothing() -> None:
    assert "url(http" not in drawn()
    assert "@import" not in drawn()


def test_the_same_view_is_the_same_file() -> None:
    assert drawn() == drawn()
