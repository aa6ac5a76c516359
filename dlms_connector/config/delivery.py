"""How it is found out that the platform has stored what was sent, and what is kept until then."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from dlms_connector.config.allowed_hosts import VARIABLE, allowed_hosts
from dlms_connector.config.base import Model
from dlms_connector.config.secret import Password
from dlms_connector.config.shown import shown
from dlms_connector.config.types import Duration, Whole, duration

Confirm = Literal["auto", "receipts", "watermarks", "none"]

#: Bytes of an entry in the journal beside its values, and of a value with its key: about.
_ENTRY_BYTES, _VALUE_BYTES = 120, 40
#: Periods of confirmation that a reading should be kept at least.
_LEAST_PERIODS = 5


def _url(value: Any) -> str:
    """Take the address of a server: scheme, host, port and folder, nothing else."""
    if isinstance(value, str):
        try:
            parts = urlsplit(value.strip())
            plain = not (parts.query or parts.fragment or parts.username or parts.password)
            right = parts.scheme in ("http", "https") and plain and parts.port != 0
        except ValueError:
            right = False
        if right and parts.hostname:
            return _allowed(value.strip().rstrip("/"), parts.hostname)
        if "@" in value:  # perhaps a password
            raise ValueError("an address without user and password is wanted; they have own keys")
    raise ValueError(f"{shown(value)} is not an address such as https://thingsboard.example.com")


def _allowed(url: str, host: str) -> str:
    """Return the address; raises ValueError if secrets must not be sent there."""
    hosts = allowed_hosts()
    if hosts is not None and not hosts.takes_host(host):
        raise ValueError(f"the host {host} is not in the environment variable {VARIABLE}")
    return url


Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "format": "uri"})]


class Journal(Model):
    """Limits for polled readings that are kept until the platform has confirmed them."""

    max_age: Duration = Field(
        default="P1D", description="maximum age of a kept reading, as ISO 8601 duration"
    )
    max_megabytes: Whole = Field(
        default=100, ge=1, le=100_000, description="maximum disk space, in megabytes"
    )

    @property
    def max_age_s(self) -> float:
        """Maximum age in seconds."""
        return duration(self.max_age).total_seconds()


class PlatformAccess(Model):
    """The platform's REST API, and a user who may read the meters' telemetry there."""

    url: Url = Field(description="address of the platform, such as `https://thingsboard.cloud`")
    username: str | None = Field(default=None, min_length=1, description="name of the user")
    password: Password | None = Field(
        default=None, description="the user's password: text or a reference"
    )
    api_key: Password | None = Field(
        default=None, description="an API key of a user, in place of name and password"
    )

    @model_validator(mode="after")
    def _has_credentials(self) -> PlatformAccess:
        if (self.api_key is None) == (self.username is None or self.password is None):
            raise ValueError("give `username` and `password`, or `apiKey`")
        return self


def journal_notes(
    journal: Journal, confirm: Confirm, period_ms: int, polls: Iterable[tuple[int, int]]
) -> Iterator[str]:
    """Yield sentences on limits of the journal that make no sense.

    `polls` has the period in ms and the number of values of everything that is polled.
    """
    age_s = journal.max_age_s
    if confirm == "none":
        yield (
            "journal: with `confirm: none` a reading leaves the journal about a minute after it "
            "was handed over, stored or not: the journal only bridges times without a connection"
        )
    elif age_s * 1000 < _LEAST_PERIODS * period_ms:
        yield (
            f"journal.maxAge: {journal.max_age} is less than {_LEAST_PERIODS} times confirmPeriod "
            f"({period_ms} ms): readings are dropped before they can be confirmed"
        )
    per_s = sum((_ENTRY_BYTES + _VALUE_BYTES * n) * 1000 / period for period, n in polls if n)
    held_s = journal.max_megabytes * 1e6 / per_s if per_s else math.inf
    if held_s < age_s:
        yield (
            f"journal.maxMegabytes: {journal.max_megabytes} MB hold about "
            f"{max(1, round(held_s / 60))} minutes of these polls, not {journal.max_age}: the "
            "oldest readings are dropped earlier; about "
            f"{math.ceil(per_s * age_s / 1e6)} MB would do"
        )
