"""The options `--trace` and `--trace-everything` of the commands that talk to meters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from dlms_connector.config import Device
from dlms_connector.tracing import Trace, Writer, open_writers, trace_to

Command = TypeVar("Command", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


def trace_options(command: Command) -> Command:
    """Add the options, which become `trace` and `trace_everything`."""
    everything = click.option(
        "--trace-everything",
        is_flag=True,
        help="In the trace, leave passwords, serial numbers and names as they are.",
    )
    trace = click.option(
        "--trace",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the frames to this file as text, and for Wireshark beside it as .pcapng; "
        "never overwrites a file.",
    )
    return trace(everything(command))


def now_ms() -> int:
    """Return the Unix time in ms."""
    return time.time_ns() // 1_000_000


@contextmanager
def writing(file: Path | None) -> Iterator[list[Writer]]:
    """Open the files of a trace, none without `file`. Raises BadParameter."""
    if file is None:
        yield []
        return
    capture = file.with_suffix(".pcapng")
    if capture == file:
        file = file.with_suffix(".txt")
    try:
        writers = open_writers(file, capture)
    except OSError as error:
        raise click.BadParameter(
            f"{error.filename or file}: {error.strerror}", param_hint="--trace"
        ) from None
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()
        click.echo(f"frames: {file}, {capture}", err=True)


class _Kept:
    """A writer that is closed by who opened it: several meters share a file."""

    def __init__(self, writer: Writer) -> None:
        self.frame, self.note = writer.frame, writer.note

    def close(self) -> None:
        """Do nothing."""


def traces(
    devices: Sequence[Device], writers: Sequence[Writer], *, everything: bool
) -> dict[str, Trace]:
    """Return a trace for each device by its name, all into the same files; none without files."""
    if not writers:
        return {}
    return {
        device.device_name: trace_to(
            [_Kept(writer) for writer in writers],
            device,
            now_ms=now_ms,
            log=_log,
            everything=everything,
        )
        for device in devices
    }
