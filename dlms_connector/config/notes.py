"""What works in a configuration, but has a cost that its author may not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dlms_connector.config.allowed_hosts import VARIABLE, allowed_hosts
from dlms_connector.config.delivery import journal_notes
from dlms_connector.config.echo import too_large
from dlms_connector.config.model import Configuration, Device
from dlms_connector.config.shown import shown


def notes(raw: Mapping[Any, Any], made: Configuration, split_keys: int) -> Iterator[str]:
    """Yield sentences on a document and the configuration that was made of it.

    `split_keys` are keys that meters of this gateway have in common with those of others.
    """
    if note := too_large(raw):
        yield note
    if (hosts := allowed_hosts()) is not None:
        for entry in hosts.wrong:
            yield (
                f"{VARIABLE}: {shown(entry)} is neither a network such as 10.20.0.0/16, "
                "nor a host name, nor a serial port such as /dev/ttyUSB0: it allows nothing"
            )
    if split_keys:
        yield (
            f"{split_keys} keys are those of meters of other shares, too, with the same "
            "systemTitle: two gateways will use the same invocation counters, and whoever "
            "records both can read them; give each meter its own key, or each gateway its own "
            "systemTitle, or put such meters into one group"
        )
    if made.journal:
        yield from journal_notes(
            made.journal, made.confirm, made.confirm_period_ms, [*_polls(made.devices)]
        )


def _polls(devices: Iterable[Device]) -> Iterator[tuple[int, int]]:
    """Yield the period in ms and the number of values of everything that is polled."""
    for device in devices:
        yield from Counter(
            item.poll_period_ms or device.poll_period_ms for item in device.timeseries
        ).items()
