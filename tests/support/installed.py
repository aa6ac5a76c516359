"""A gateway's folders as they are after it has run for a while."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlms_connector.obis import Obis
from dlms_connector.records import Entry, Records, Slice, Source
from dlms_connector.state import counter_of, gateways_place
from tests.unit.state.test_no_number_twice import device

#: Secrets in clear, some of them where nobody should have written them.
CLEAR = ("very-secret", "misspelt-one", "of-the-user", "in-a-table", "out-of-step")
DOCUMENT = {
    "devicesFile": "fleet.csv",
    "platform": {"url": "https://tb.example.com", "username": "u", "password": CLEAR[2]},
    "devices": [
        {"deviceName": "House 1", "connection": {"host": "192.0.2.1"},
         "dlms": {"password": CLEAR[0], "pasword": CLEAR[1], "authentication": "LOW"}},
        {"deviceName": "House 2", "connection": {"host": "192.0.2.2"},
         "dlms": {"blockCipherKey": "${file:house-2.key}"}},
    ],
}  # fmt: skip
TABLE = f"""deviceName,connection.host,dlms.password
T 1,192.0.2.3,{CLEAR[3]}
T 2,{CLEAR[4]}
T 3,192.0.2.4,${{env:METER_T3}}
"""
_DAY_MS = 86_400_000


class Gateway:
    """Its configuration folder and its state; `empty` is one that was just installed."""

    def __init__(self, root: Path, *, empty: bool = False) -> None:
        self.root, self.config = root, root / "config"
        self.config.mkdir(parents=True)
        entry = {
            "type": "custom", "name": "DLMS", "class": "DLMSConnector",
            "configuration": "dlms.json", "accessToken": "the-token",
        }  # fmt: skip
        main = {
            "thingsboard": {"security": {"accessToken": "the-token"}},
            "storage": {"type": "memory"},
            "connectors": [] if empty else [entry],
        }
        (self.config / "tb_gateway.json").write_text(json.dumps(main, indent=2))
        self.state = root / "data" / "dlms"
        if empty:
            return
        (self.config / "dlms.json").write_text(json.dumps(DOCUMENT, indent=1))
        (self.config / "fleet.csv").write_text(TABLE)
        place = gateways_place(None, {}, self.config, "DLMS")
        assert place == self.state
        counter = counter_of(device(), self.state)
        assert counter is not None
        counter.next()
        (self.state / "online-DLMS.json").write_text('{"House 1": "online"}')
        (self.state / "configuration-DLMS.json").write_text(json.dumps(DOCUMENT))
        (self.state / f"heard-{'0' * 16}.log").write_text(f"{'a' * 16} 5\n")
        (self.state / "names-serial-0.json").write_text('{"meter": "serial", "objects": []}')
        with open_records(self.state):
            pass

    def everything(self) -> dict[str, bytes]:
        """Return all files and their contents."""
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@contextmanager
def open_records(folder: Path, *, fill: bool = True) -> Iterator[Records]:
    """Open the records as a gateway does, and add some rows."""
    records = Records.open(folder / "records.sqlite", logging.getLogger("test"))
    try:
        if fill:
            source = Source("House 1", Obis.parse("1-0:99.1.0"))
            day = (records.size().history_entries * 1000 + 20_000) * 900_000
            part = Slice(source, 900, day, day + 900_000, (day,))
            records.keep(part, [Entry(source, "meter", day, {"energy": 1})])
        yield records
    finally:
        records.close()
