"""`dlms-connector schema`: prints the JSON Schema, for completion and checks in an editor."""

from __future__ import annotations

import json

import click

from dlms_connector.config import document_schema


@click.command()
def command() -> None:
    r"""Print the JSON Schema of dlms.json.

    \b
    For example: dlms-connector schema > dlms.schema.json
    """
    click.echo(json.dumps(document_schema(), indent=2, ensure_ascii=False))
