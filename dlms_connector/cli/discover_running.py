"""Runs a discovery, shows how far it is, and traces its frames if that is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dlms_connector.cli.tracing import now_ms
from dlms_connector.config import Connection
from dlms_connector.discovery import Discovery, Request, discover
from dlms_connector.errors import ConfigError
from dlms_connector.hints import Symptom
from dlms_connector.link import Link, make_link
from dlms_connector.tracing import Trace, Writer, tapped


def run(request: Request, writers: Sequence[Writer], *, everything: bool) -> Discovery:
    """Find a meter; raises DlmsError, whose hint names options."""
    tap = None
    if writers:
        tap = Trace(
            "discovery", writers, now_ms=now_ms, log=logging.getLogger(__name__),
            everything=everything,
        )  # fmt: skip

    def link(connection: Connection) -> Link:
        made = make_link(connection)
        return made if tap is None else tapped(made, tap)

    try:
        return _discovered(request, link)
    finally:
        if tap is not None:
            tap.close()


def _discovered(request: Request, link: Callable[[Connection], Link]) -> Discovery:
    """Discover, and show how far that is."""
    with _progress() as progress:
        probing = progress.add_task("looking for the meter", total=None)

        shown = ""

        def trying(what: str, done: int, total: int) -> None:
            nonlocal shown
            kind = what.partition(" client")[0]
            if progress.disable and kind != shown:
                shown = kind
                click.echo(f"trying {what}", err=True)
            progress.update(probing, description=what, completed=done, total=total)

        def reading(done: int, total: int) -> None:
            progress.update(probing, description="reading objects", completed=done, total=total)

        try:
            return asyncio.run(discover(request, trying=trying, reading=reading, make_link=link))
        except ConfigError as error:
            raise _with_options(error) from None


@contextmanager
def _progress() -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as it:
        yield it


def _with_options(error: ConfigError) -> ConfigError:
    """Return the error with a hint about options instead of configuration keys."""
    return ConfigError(*error.problems).showing(Symptom.OPTIONS)
