"""The platform's user for commands that ask it: from the environment, `dlms.json` or a prompt.

A secret is never an option: those are seen by everybody on the machine, and kept by the shell.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.config import PlatformAccess

PASSWORD, API_KEY = "DLMS_PLATFORM_PASSWORD", "DLMS_PLATFORM_API_KEY"


@dataclass(frozen=True, slots=True)
class Login:
    """An address and who asks there; `api_key`, or `username` with `password`."""

    url: str
    username: str | None = None
    password: bytes | None = None
    api_key: bytes | None = None

    def __repr__(self) -> str:
        return f"Login({self.url!r}, {self.username!r})"


def login(
    url: str,
    user: str | None,
    configured: Callable[[], PlatformAccess | None],
    ask: Callable[[str], str] | None = None,
) -> Login | None:
    """Return who asks at an address; None if nobody is given.

    `configured` returns the user of a configuration, and `ask` asks for a password.
    """
    url = url.rstrip("/")
    password, key = os.environb.get(PASSWORD.encode()), os.environb.get(API_KEY.encode())
    if key:
        return Login(url, api_key=key)
    if user and password:
        return Login(url, user, password)
    access = configured()
    # A configured user's password goes to the configured address only.
    if access is not None and str(access.url).rstrip("/") == url and not user:
        return Login(url, access.username, access.password, access.api_key)
    if user and ask is not None:
        return Login(url, user, ask(f"Password of {user} at {url}").encode())
    return None
