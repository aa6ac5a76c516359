"""What `discover` tells of what it found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import simplejson

from dlms_connector.discovery import Discovery, document, left_out, report


def show(found: Discovery, output: Path | None) -> None:
    """Show the findings on stderr, and only the entry on stdout."""

    def say(text: str) -> None:
        click.echo(text, err=True)

    for note in found.notes:
        say(note)
    description = found.description
    if found.dlms and description is not None:
        say(f"found a meter at {found.endpoint}: {_words(found.dlms)}")
        say(f"  calls itself {description.logical_device_name or '(nothing)'}, serial number "
            f"{description.serial_number or 'unknown'}")  # fmt: skip
        read = sum(one.is_read for one in description.objects)
        say(f"  {len(description.objects)} objects, {read} of them read")
        for ref, problem in description.skipped:
            say(f"  skipped {ref}: {problem}")
        unnamed = left_out(description)
        if unnamed:
            say(f"  {len(unnamed)} registers of unknown meaning left out (--all takes them)")
        fits = ", ".join(found.presets[:3])
        say(f"  presets that fit: {fits}" if fits else "  no preset fits")
    elif found.dlms:
        say(f"a meter answers at {found.endpoint}: {_words(found.dlms)}")
    if found.entry is not None and not found.measures:
        say("the entry reads no measured value; what to try:")
    for line in found.advice:
        say(line)
    if found.entry is None:
        return
    if output is not None:
        say(f"wrote {output}; try: dlms-connector read {output}")
    else:
        click.echo(document(found.entry))


def _words(dlms: Mapping[str, Any]) -> str:
    names = {"interfaceType": "", "clientAddress": "client ", "logicalAddress": "logical address ",
             "physicalAddress": "physical address ", "addressSize": "octets of address ",
             "referencing": "", "authentication": "authentication "}  # fmt: skip
    return ", ".join(f"{words}{dlms[key]}" for key, words in names.items() if key in dlms)


def as_json(found: Discovery) -> str:
    """Return the report; decimals stay exact."""
    return str(simplejson.dumps(report(found), use_decimal=True, indent=2, ensure_ascii=False))
