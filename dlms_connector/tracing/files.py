"""The files of a trace: private, never over another file, and few of them kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from logging import Logger
from pathlib import Path

from dlms_connector.config import Device
from dlms_connector.state import private_files
from dlms_connector.tracing.redaction import keys_of, secrets_of
from dlms_connector.tracing.trace import MOST_OCTETS, Trace
from dlms_connector.tracing.writers import PcapngWriter, TextWriter, Writer

#: The folder of traces in the folder of the state.
FOLDER = "traces"
#: Traces that are kept of all meters, two files each; older ones are deleted.
MOST_KEPT = 20
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def trace_into(
    folder: Path,
    device: Device,
    *,
    now_ms: Callable[[], int],
    log: Logger,
    most: int = MOST_OCTETS,
) -> tuple[Trace, tuple[Path, Path]]:
    """Begin a trace of a device in a folder; return it and its files. Raises OSError.

    It ends when both files together have `most` octets.
    """
    private_files.make_folder(folder)
    _thin_out(folder)
    name = _UNFIT.sub("_", device.device_name).strip("._")[:60] or "meter"
    stem = f"{now_ms():013d}-{name}"
    paths = folder / f"{stem}.txt", folder / f"{stem}.pcapng"
    writers = open_writers(*paths)
    return trace_to(writers, device, now_ms=now_ms, log=log, most=most), paths


def open_writers(text: Path, capture: Path) -> list[Writer]:
    """Create both files, readable by their owner only. Raises FileExistsError, OSError."""
    written = TextWriter(os.fdopen(private_files.create(text), "wb"))
    try:
        return [written, PcapngWriter(os.fdopen(private_files.create(capture), "wb"))]
    except OSError:
        written.close()
        text.unlink()
        raise


def trace_to(
    writers: list[Writer],
    device: Device,
    *,
    now_ms: Callable[[], int],
    log: Logger,
    everything: bool = False,
    most: int = MOST_OCTETS,
) -> Trace:
    """Return the trace of a device that writes to `writers`, and closes them."""
    return Trace(
        device.device_name,
        writers,
        now_ms=now_ms,
        log=log,
        secrets=keys_of(device) if everything else secrets_of(device),
        everything=everything,
        most=most,
    )


def _thin_out(folder: Path) -> None:
    """Delete the oldest traces; their names begin with their time."""
    for suffix in ("txt", "pcapng"):
        files = sorted(folder.glob(f"*.{suffix}"))
        for path in files[: max(0, len(files) - MOST_KEPT + 1)]:
            with suppress(OSError):
                path.unlink()
