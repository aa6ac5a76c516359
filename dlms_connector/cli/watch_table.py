"""What is watched: the newest values and states, as tables that fit the screen, or as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from rich.table import Table
from rich.text import Text

from dlms_connector.cli.sent import Items, as_sent, items_of, text_of
from dlms_connector.config import Device
from dlms_connector.errors import DlmsError
from dlms_connector.fleet import MeterState
from dlms_connector.reading import Kind, Poll

#: Lines of the screen that a table needs beside its rows.
_FRAME = 8
_LEAST_ROWS = 3
#: Meters in trouble come first.
_ORDER = ("misconfigured", "refused", "offline", "backoff", "waiting", "online")
_COLOURS = {"online": "green", "waiting": "", "backoff": "yellow", "offline": "red"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A value as text, its object, its unit, and when it was read and when it changed last."""

    text: str
    obis: str
    unit: str
    read_s: float
    changed_s: float
    suspect: bool = False


@dataclass
class Watched:
    """A meter with what it told last; `state` is `waiting` before the first answer."""

    device: Device
    state: MeterState | str = "waiting"
    error: str = ""
    polled_s: float | None = None
    polls: int = 0
    values: dict[tuple[Kind, str], _Shown] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    items: Items = field(init=False)

    def __post_init__(self) -> None:
        self.items = items_of(self.device)


class Watching:
    """All watched meters; `say` gets a line for each change."""

    def __init__(self, meters: Sequence[Watched], say: Callable[[str], None]) -> None:
        self.meters = meters
        self._say = say
        self._by_name = {one.device.device_name: one for one in meters}

    def polled(self, device: Device, poll: Poll, now_s: float) -> None:
        """Take the result of a poll at a Unix time."""
        one = self._by_name[device.device_name]
        one.polled_s = now_s
        one.polls += 1
        for reading in poll.readings:
            item = one.items.get((reading.kind, reading.key))
            if item is None:
                continue
            value, unit = as_sent(reading, item)
            text, place = text_of(value), (reading.kind, reading.key)
            before = one.values.get(place)
            changed = before is None or before.text != text
            one.values[place] = _Shown(
                text,
                str(reading.obis),
                unit or "",
                reading.ts_ms / 1000,
                now_s if before is None or changed else before.changed_s,
                reading.quality != "good",
            )
            one.failures.pop(reading.key, None)
            if changed:
                self._tell(reading.ts_ms / 1000, one, f"{reading.key} {text} {unit or ''}")
        for failure in poll.failures:
            told = str(failure.error)
            if one.failures.get(failure.key) != told:
                one.failures[failure.key] = told
                self._tell(now_s, one, f"{failure.key} {told}")

    def state(
        self, device: Device, state: MeterState, error: DlmsError | None, now_s: float
    ) -> None:
        """Take a meter's state at a Unix time."""
        one = self._by_name[device.device_name]
        told = str(error) if error is not None else ""
        if (state, told) != (one.state, one.error):
            one.state, one.error = state, told
            self._tell(now_s, one, f"{state}{': ' if told else ''}{told}")

    def were_polled(self, times: int) -> bool:
        """Whether each meter was polled so often, or does not answer."""
        return all(
            one.polls >= times if one.state == "online" else one.state != "waiting"
            for one in self.meters
        )

    def _tell(self, at_s: float, one: Watched, what: str) -> None:
        at = datetime.fromtimestamp(at_s, timezone.utc).isoformat(timespec="seconds")
        self._say(text_of(f"{at} {one.device.device_name} {what}".rstrip()))


def meter_table(watching: Watching, now_s: float, height: int) -> Table:
    """Return the values of the only meter; those that changed in the last poll stand out."""
    (one,) = watching.meters
    table = Table(title=_title(one, now_s), title_justify="left")
    for heading in ("key", "object", "value", "unit", "age"):
        right = heading in ("value", "age")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    rows = list(_value_rows(one, now_s))
    _fill(table, rows, height, "objects")
    return table


def _title(one: Watched, now_s: float) -> Text:
    title = Text(text_of(one.device.device_name))
    title.append(f"  {one.state}", _COLOURS.get(one.state, "red"))
    title.append(f"  {one.polls} polls, the last {_age(one.polled_s, now_s)} ago")
    if one.error:
        title.append(f"\n{text_of(one.error)}", "red")
    return title


def _value_rows(one: Watched, now_s: float) -> Iterator[tuple[Text, ...]]:
    for (_, key), shown in one.values.items():
        colour = "yellow" if shown.suspect else ""
        if one.polled_s is not None and shown.changed_s >= one.polled_s and one.polls > 1:
            colour = "bold green"
        yield (
            Text(text_of(key)), Text(shown.obis), Text(shown.text, colour), Text(shown.unit),
            Text(_age(shown.read_s, now_s)),
        )  # fmt: skip
    for key, told in one.failures.items():
        yield Text(text_of(key)), Text(), Text(text_of(told), "red"), Text(), Text()


def fleet_table(watching: Watching, now_s: float, height: int) -> Table:
    """Return the states of the meters, those in trouble first."""
    counts = {state: sum(one.state == state for one in watching.meters) for state in _ORDER}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    table = Table(title=Text(f"{len(watching.meters)} meters: {told}"), title_justify="left")
    for heading in ("meter", "state", "polls", "age", "values", "failed", "error"):
        right = heading in ("polls", "age", "values", "failed")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    meters = sorted(watching.meters, key=lambda one: (_ORDER.index(one.state), not one.failures))
    rows = [
        (
            Text(text_of(one.device.device_name)),
            Text(one.state, _COLOURS.get(one.state, "red")),
            Text(str(one.polls)),
            Text(_age(one.polled_s, now_s)),
            Text(str(len(one.values))),
            Text(str(len(one.failures)), "red" if one.failures else ""),
            Text(text_of(one.error)),
        )
        for one in meters
    ]
    _fill(table, rows, height, "meters")
    return table


def _fill(table: Table, rows: Sequence[tuple[Text, ...]], height: int, what: str) -> None:
    """Add as many rows as fit on the screen, and say how many more there are."""
    most = max(_LEAST_ROWS, height - _FRAME)
    for row in rows[:most]:
        table.add_row(*row)
    if len(rows) > most:
        table.caption = f"… and {len(rows) - most} more {what}"


def _age(then_s: float | None, now_s: float) -> str:
    if then_s is None:
        return "-"
    seconds = max(0, round(now_s - then_s))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
