"""The documents as files, for those who import by hand.

`python -m dlms_connector.thingsboard.files gateway-config` writes them anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from dlms_connector.thingsboard.documents import FOLDER, Documents, documents


def files(made: Documents) -> Mapping[str, str]:
    """Return the content of each file, by its name within the folder."""
    named = {f"dashboard-{_slug(each['title'])}.json": each for each in made.dashboards}
    named |= {f"device-profile-{_slug(each['name'])}.json": each for each in made.profiles}
    named |= {f"alarm-rules/meter-{_slug(each['name'])}.json": each for each in made.meter_rules}
    named |= {
        f"alarm-rules/gateway-{_slug(each['name'])}.json": each for each in made.gateway_rules
    }
    return {name: json.dumps(each, indent=1) + "\n" for name, each in named.items()}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) / FOLDER
    for name, text in files(documents()).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
