"""The few requests of ThingsBoard's REST API that the audit needs. Blocks; used in one thread.

Facts: DeviceController and TelemetryController of ThingsBoard 4.3. The secret appears in no
message; redirects are not followed, because they could lead it elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

#: Seconds that a request may take, and the largest answer in bytes.
TIMEOUT_S, _LARGEST = 30.0, 16_000_000
#: Rows in one answer, and devices whose id is remembered.
_MOST_ROWS, _MOST_IDS = 50_000, 20_000
DAY_MS = 86_400_000


class RestError(Exception):
    """The platform could not be asked; the text says what was asked, what came, what to try."""


# S310: only http and https get here; the configuration's model takes no other address.


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class PlatformRest:
    """Reads what the platform has stored. Raises RestError."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: bytes | None = None,
        api_key: bytes | None = None,
    ) -> None:
        self._url = url
        self._username, self._password, self._api_key = username, password, api_key
        self._token: str | None = None
        #: The server's time of its last answer (Unix time), to compare clocks.
        self.date_s: float | None = None
        self._ids: dict[str, str] = {}
        self._opener = build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"PlatformRest({self._url!r})"

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
        return frozenset(int(each["ts"]) for rows in found.values() for each in rows)

    def newest(self, device: str) -> Mapping[str, int] | None:
        """Return the instant of the newest value of every key, in ms; None without such a device.

        Without a time, the platform answers with latest values, of all keys if none is named.
        """
        found = self._telemetry(device, {})
        if found is None:
            return None
        return {key: int(rows[0]["ts"]) for key, rows in found.items() if rows}

    def client_attributes(self, device: str, keys: Sequence[str]) -> Mapping[str, Any]:
        """Return client attributes of a device, of those keys that it has."""
        if (number := self._id(device)) is None:
            return {}
        found = self._get(
            f"/api/plugins/telemetry/DEVICE/{quote(number)}/values/attributes/CLIENT_SCOPE?"
            + urlencode({"keys": ",".join(keys)})
        )
        rows = found if isinstance(found, list) else []
        return {str(each.get("key")): each.get("value") for each in rows}

    def _telemetry(self, device: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
        for again in (True, False):
            known = device in self._ids
            if (number := self._id(device)) is None:
                return None
            found = _mapping(
                self._get(
                    f"/api/plugins/telemetry/DEVICE/{quote(number)}/values/timeseries?"
                    + urlencode(query)
                )
            )
            if found or not known or not again:
                return found
            # The platform answers thus also for a device that was deleted, and perhaps made anew.
            self._ids.pop(device, None)
        return None

    def _id(self, device: str) -> str | None:
        if device not in self._ids:
            found = self._get("/api/tenant/devices?" + urlencode({"deviceName": device}))
            if found is None:
                return None
            if len(self._ids) >= _MOST_IDS:
                self._ids.clear()
            self._ids[device] = str(_mapping(_mapping(found).get("id")).get("id"))
        return self._ids[device]

    def _get(self, path: str) -> Any:
        """Return the answer; None if there is no such thing."""
        for again in (True, False):
            header = self._authorization()
            try:
                return self._open(
                    Request(self._url + path, headers=header),  # noqa: S310
                    path,
                )
            except HTTPError as error:
                error.close()
                if error.code == 404:
                    return None
                if error.code != 401 or self._api_key is not None or not again:
                    raise _refused(path, error.code) from None
                self._token = None  # it has expired
        return None

    def _authorization(self) -> dict[str, str]:
        if self._api_key is not None:
            return {"X-Authorization": f"ApiKey {_text(self._api_key, 'apiKey')}"}
        if self._token is None:
            path = "/api/auth/login"
            login = {
                "username": self._username,
                "password": _text(self._password or b"", "password"),
            }
            body = json.dumps(login).encode()
            request = Request(  # noqa: S310
                self._url + path, body, {"Content-Type": "application/json"}
            )
            try:
                self._token = str(_mapping(self._open(request, path)).get("token"))
            except HTTPError as error:
                error.close()
                raise _refused(path, error.code) from None
        return {"X-Authorization": f"Bearer {self._token}"}

    def _open(self, request: Request, path: str) -> Any:
        asked = path.partition("?")[0]
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content = answer.read(_LARGEST + 1)
                with suppress(TypeError, ValueError):
                    self.date_s = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        except HTTPError:
            raise
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            raise RestError(
                f"{self._url}{asked}: {reason}; check platform.url, and that this host reaches it"
            ) from None
        except ValueError:  # it quotes the header that it refuses, and so the secret
            raise _unusable("apiKey" if self._api_key is not None else "url") from None
        if len(content) > _LARGEST:
            raise RestError(f"{self._url}{asked}: the answer has more than {_LARGEST} bytes")
        try:
            return json.loads(content)
        except ValueError:
            raise RestError(
                f"{self._url}{asked}: the answer is not JSON; is platform.url a ThingsBoard?"
            ) from None


def _refused(path: str, code: int) -> RestError:
    asked = path.partition("?")[0]
    hint = {
        401: "check the platform's user and password, or apiKey",
        403: "the user must be an administrator of the tenant",
        429: "the platform's rate limit is reached",
    }.get(code, "try again later")
    if 300 <= code < 400:
        hint = "redirects are not followed; give platform.url as it is after them"
    return RestError(f"{asked}: the platform answered {code}; {hint}")


def _text(secret: bytes, key: str) -> str:
    try:
        return secret.decode()
    except ValueError:
        raise _unusable(key) from None


def _unusable(key: str) -> RestError:
    return RestError(f"the request cannot be written; check platform.{key}: line breaks, signs")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
