"""The few requests of ThingsBoard's REST API that the audit needs. Blocks; used in one thread.

Facts: DeviceController and TelemetryController of ThingsBoard 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from dlms_connector.delivery.rest import Rest, RestError, mapping

#: Rows in one answer, and devices whose id is remembered.
_MOST_ROWS, _MOST_IDS = 50_000, 20_000
DAY_MS = 86_400_000


class PlatformRest(Rest):
    """Reads what the platform has stored. Raises RestError."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: bytes | None = None,
        api_key: bytes | None = None,
    ) -> None:
        super().__init__(url, username=username, password=password, api_key=api_key)
        self._ids: dict[str, str] = {}

    def counts(self, device: str, key: str, start_ms: int, days: int) -> Mapping[int, int] | None:
        """Return the number of values of a key by UTC day (days since 1970), where there are any.

        None if the platform has no such device.
        """
        query = {
            "keys": key,
            "startTs": start_ms,
            "endTs": start_ms + days * DAY_MS,
            "interval": DAY_MS,
            "agg": "COUNT",
            "limit": days,
            "useStrictDataTypes": "true",
        }
        found = self._telemetry(device, query)
        if found is None:
            return None
        with _understood():
            return {int(each["ts"]) // DAY_MS: int(each["value"]) for each in found.get(key, ())}

    def instants(
        self, device: str, keys: Sequence[str], start_ms: int, end_ms: int
    ) -> frozenset[int] | None:
        """Return the instants of which the platform has a value of any of these keys."""
        query = {
            "keys": ",".join(keys),
            "startTs": start_ms,
            "endTs": end_ms,
            "agg": "NONE",
            "limit": _MOST_ROWS,
        }
        found = self._telemetry(device, query)
        if found is None:
            return None
        with _understood():
            return frozenset(int(each["ts"]) for rows in found.values() for each in rows)

    def newest(self, device: str) -> Mapping[str, int] | None:
        """Return the instant of the newest value of every key, in ms; None without such a device.

        Without a time, the platform answers with latest values, of all keys if none is named.
        """
        found = self._telemetry(device, {})
        if found is None:
            return None
        with _understood():
            return {key: int(rows[0]["ts"]) for key, rows in found.items() if rows}

    def client_attributes(self, device: str, keys: Sequence[str]) -> Mapping[str, Any]:
        """Return client attributes of a device, of those keys that it has."""
        if (number := self._id(device)) is None:
            return {}
        found = self.get(
            f"/api/plugins/telemetry/DEVICE/{number}/values/attributes/CLIENT_SCOPE?"
            + urlencode({"keys": ",".join(keys)})
        )
        rows = found if isinstance(found, list) else []
        with _understood():
            return {str(each.get("key")): each.get("value") for each in rows}

    def _telemetry(self, device: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
        for again in (True, False):
            known = device in self._ids
            if (number := self._id(device)) is None:
                return None
            found = mapping(
                self.get(
                    f"/api/plugins/telemetry/DEVICE/{number}/values/timeseries?" + urlencode(query)
                )
            )
            if found or not known or not again:
                return found
            # The platform answers thus also for a device that was deleted, and perhaps made anew.
            self._ids.pop(device, None)
        return None

    def _id(self, device: str) -> str | None:
        """Return a device's id, as it stands in a path; None if there is no such device."""
        if device not in self._ids:
            found = self.get("/api/tenant/devices?" + urlencode({"deviceName": device}))
            if found is None:
                return None
            if len(self._ids) >= _MOST_IDS:
                self._ids.clear()
            with _understood():
                self._ids[device] = quote(str(mapping(mapping(found).get("id")).get("id")))
        return self._ids[device]


@contextmanager
def _understood() -> Iterator[None]:
    """Raise RestError for an answer of another form."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RestError(
            f"an answer of the platform makes no sense: {error!r}; is platform.url a ThingsBoard?"
        ) from error
