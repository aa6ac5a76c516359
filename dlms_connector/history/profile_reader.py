"""Reads slices of one configured profile of one meter, and keeps what was found out about it.

The layout, the way of selection that works and the zone of the meter's clock do not change from
slice to slice, so in steady operation a slice costs one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from dlms_connector.config import Device, Profile
from dlms_connector.cosem import AttributeRef, ByEntry
from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history.layouts import layout
from dlms_connector.history.profile_reading import Ways, between, last, with_its_clock
from dlms_connector.history.profile_readings import ProfileRead, instant_ms, readings_of
from dlms_connector.history.profiles import (
    ENTRIES_IN_USE,
    PROFILE_ENTRIES,
    PROFILE_GENERIC,
    Layout,
    Row,
)
from dlms_connector.history.range_reading import Question, buffer, meters_zone
from dlms_connector.history.rows import RowShapeError, read_rows
from dlms_connector.interpret import options_of
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.talk import Talk

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: The last instant before the end of a slice, as meters write instants.
_BEFORE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Held:
    """What a meter holds of a profile; None where it does not tell.

    `entries` is the number of rows, `capacity` the most that it keeps; the oldest and the newest
    row are Unix times in ms. `period_s` is the capture period, 0 if rows come irregularly.
    """

    period_s: int
    entries: int | None
    capacity: int | None
    oldest_ms: int | None
    newest_ms: int | None


class ProfileReader:
    """One configured profile of one meter; one talk of it at a time."""

    def __init__(self, device: Device, profile: Profile) -> None:
        self.device = device
        self.profile = profile
        self._options = options_of(device.dlms)
        self._ways: Ways = {}
        self._layout: Layout | None = None
        self._zone: tzinfo | None = None
        self._seen: list[tuple[int, float]] = []

    @property
    def layout(self) -> Layout | None:
        """The layout; None until it was read."""
        return self._layout

    @property
    def period_s(self) -> int | None:
        """The capture period in seconds, 0 if rows come irregularly; None until it was read."""
        return self._layout.period_s if self._layout is not None else None

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the meter's clock: the configured one, else what it told; None if unknown."""
        return self._options.zone or self._zone

    def forget(self) -> None:
        """Forget all that was found out: another meter may be there, or it was set up anew."""
        self._layout = self._zone = None
        self._ways.clear()
        self._seen.clear()

    def held(self, client: Client) -> Talk[Held]:
        """Read how many rows the meter holds, and the times of the oldest and the newest one.

        Raises ObjectError, ServiceError or CommandError if the profile cannot be read.
        """
        shape = yield from self._known(client)
        entries = yield from self._number(client, ENTRIES_IN_USE)
        capacity = yield from self._number(client, PROFILE_ENTRIES)
        ends: list[int] = []
        if entries:
            for entry in dict.fromkeys((1, entries)):
                ends += yield from self._instants(client, shape, entry)
        oldest, newest = (min(ends), max(ends)) if ends else (None, None)
        return Held(shape.period_s, entries, capacity, oldest, newest)

    def read(self, client: Client, start_ms: int, end_ms: int) -> Talk[ProfileRead]:
        """Read the rows captured from `start_ms` up to before `end_ms`, Unix times.

        Raises ObjectError or ServiceError if the meter refuses the profile, CommandError if its
        rows have no time or make no sense.
        """
        was_known = self._layout is not None
        try:
            rows = yield from self._rows(client, start_ms, end_ms)
        except RowShapeError:
            self.forget()
            if not was_known:
                raise
            rows = yield from self._rows(client, start_ms, end_ms)
        except (ObjectError, ServiceError):
            self.forget()
            raise
        shape = yield from self._known(client)
        return (yield from readings_of(rows, shape, self.device, self.profile))

    def newest(self, client: Client, count: int) -> Talk[ProfileRead]:
        """Read the newest rows, at most `count`, by their place and not by their time.

        Raises as `read` does.
        """
        shape = yield from self._known(client)
        standard = self.device.dlms.standard
        rows = yield from last(
            client, self.profile.obis, count, self._options, self.profile, standard
        )
        return (yield from readings_of(rows, shape, self.device, self.profile))

    def _rows(self, client: Client, start_ms: int, end_ms: int) -> Talk[list[Row]]:
        """Read the rows of a range; a meter may give rows beside it, too."""
        shape = yield from self._known(client)
        start, end = _moment(start_ms), _moment(end_ms)
        # A row at the end belongs to the next slice; asked for, it would be missed where the
        # interval that it closes is not over.
        last = max(start, end - _BEFORE) if shape.period_s else end
        # Whoever follows a profile accounts for its gaps, and reads them again.
        question = Question(
            self.profile.obis,
            shape,
            start,
            last,
            self._options,
            self._zone,
            audited=True,
            seen=self._seen,
        )
        rows = yield from between(client, question, self._ways)
        self._zone = self._zone_of(rows)
        return [row for row in rows if row.at is None or start_ms <= instant_ms(row) < end_ms]

    def _known(self, client: Client) -> Talk[Layout]:
        """Return the layout; it is read if it is not known."""
        if self._layout is None:
            obis, standard = self.profile.obis, self.device.dlms.standard
            self._layout = yield from layout(client, obis, self.profile, standard)
            if self._layout.clock is not None:
                self._zone = yield from meters_zone(client, self._layout, self._options)
        if self._layout.clock is None:
            # Kept without: a profile whose clock no row shows yet may be empty.
            self._layout = yield from with_its_clock(client, self.profile.obis, self._layout)
        return self._layout

    def _zone_of(self, rows: list[Row]) -> tzinfo | None:
        """Return the zone to ask in next: the rows tell it best, as it changes with the season."""
        told = next((row.at.tzinfo for row in rows if row.at is not None), None)
        return self._zone if self._options.zone is not None or told is None else told

    def _number(self, client: Client, attribute: int) -> Talk[int | None]:
        ref = AttributeRef(PROFILE_GENERIC, self.profile.obis, attribute)
        try:
            data = yield from get_one(client, ref)
        except (ObjectError, ServiceError):
            return None
        is_number = isinstance(data.value, int) and not isinstance(data.value, bool)
        return data.value if is_number and data.value >= 0 else None

    def _instants(self, client: Client, shape: Layout, entry: int) -> Talk[list[int]]:
        """Return the instant of one entry, if the meter gives it."""
        try:
            data = yield from buffer(client, self.profile.obis, ByEntry(first=entry, last=entry))
            rows = yield from read_rows(data, shape, self._options)
        except (ObjectError, ServiceError, CommandError):
            return []
        return [instant_ms(row) for row in rows if row.at is not None]


def _moment(unix_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=unix_ms)
