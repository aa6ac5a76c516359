"""A session with ThingsBoard's REST API: log in, ask, and log in again when the token expires.

Blocks; used in one thread. The secret appears in no message; redirects are not followed, because
they could lead it elsewhere.
"""

from __future__ import annotations

import json
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

#: Seconds that a request may take, and the largest answer in bytes.
TIMEOUT_S, _LARGEST = 30.0, 16_000_000
#: How much of the platform's own words about a refusal is told.
_SHOWN = 200


class RestError(Exception):
    """The platform could not be asked; the text says what was asked, what came, what to try.

    `code` is the status of its answer; None if there was none.
    """

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


# S310: only http and https get here; the configuration's model takes no other address.


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Rest:
    """Asks the platform as one user. Raises RestError."""

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
        self._opener = build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def get(self, path: str) -> Any:
        """Return the answer; None if there is no such thing."""
        return self._ask(path, None)

    def post(self, path: str, body: Any) -> Any:
        """Send a document, and return the answer; None if there is no such thing."""
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        for again in (True, False):
            header = self._authorization()
            if body is not None:
                header["Content-Type"] = "application/json"
            try:
                return self._open(
                    Request(self._url + path, body, header),  # noqa: S310
                    path,
                )
            except HTTPError as error:
                if error.code == 404 and body is None:
                    error.close()
                    return None
                if error.code != 401 or self._api_key is not None or not again:
                    raise _refused(path, error, told=body is not None) from None
                error.close()
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
                self._token = str(mapping(self._open(request, path)).get("token"))
            except HTTPError as error:
                raise _refused(path, error) from None
        return {"X-Authorization": f"Bearer {self._token}"}

    def _open(self, request: Request, path: str) -> Any:
        asked = path.partition("?")[0]
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content = answer.read(_LARGEST + 1)
                with suppress(TypeError, ValueError, OverflowError):
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
        if not content.strip():
            return None  # done, without words
        try:
            return json.loads(content)
        except ValueError:
            raise RestError(
                f"{self._url}{asked}: the answer is not JSON; is platform.url a ThingsBoard?"
            ) from None


def _refused(path: str, error: HTTPError, told: bool = False) -> RestError:
    """Return what a refusal means; with `told`, what the platform says of it."""
    asked, code = path.partition("?")[0], error.code
    said = _message(error) if told else ""
    error.close()
    hint = {
        401: "check the platform's user and password, or apiKey",
        403: "the user must be an administrator of the tenant",
        429: "the platform's rate limit is reached",
    }.get(code, "try again later")
    if 300 <= code < 400:
        hint = "redirects are not followed; give platform.url as it is after them"
    if said:
        hint = f"{said!r}; {hint}" if code in (401, 403, 429) else repr(said)
    return RestError(f"{asked}: the platform answered {code}; {hint}", code)


def _message(error: HTTPError) -> str:
    """Return the platform's own words about a refusal; empty if there are none."""
    try:
        said = mapping(json.loads(error.read(_LARGEST))).get("message")
    except (OSError, ValueError, HTTPException):
        return ""
    return said[:_SHOWN] if isinstance(said, str) else ""


def _text(secret: bytes, key: str) -> str:
    try:
        return secret.decode()
    except ValueError:
        raise _unusable(key) from None


def _unusable(key: str) -> RestError:
    return RestError(f"the request cannot be written; check platform.{key}: line breaks, signs")


def mapping(value: Any) -> dict[str, Any]:
    """Return an object of an answer; empty if it is something else."""
    return value if isinstance(value, dict) else {}
