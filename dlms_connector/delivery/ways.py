"""What delivery needs of the platform and of the records, and its settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dlms_connector.records import Entry, Source

#: How it is found out that the platform has stored what was sent.
Confirm = Literal["auto", "receipts", "watermarks", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLimits:
    """How much of polled readings is kept until the platform confirmed them."""

    max_age_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of delivery; `period_s` is `confirmPeriod` in seconds."""

    confirm: Confirm = "auto"
    period_s: float = 60.0
    journal: JournalLimits | None = None
    #: Entries of history that may wait on disk. Beyond, history waits at the meters.
    most_history: int = 200_000


class Platform(Protocol):
    """The way to the platform: the gateway. Called in the delivery thread."""

    def session(self) -> object | None:
        """Return an object that identifies the present connection; None if there is none."""

    def send(
        self, device: str, device_type: str, entries: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> bool:
        """Hand telemetry to the gateway; false if it did not take it."""

    def tell(self, device: str, device_type: str, attributes: Mapping[str, Any]) -> bool:
        """Hand client attributes to the gateway; false if it did not take them."""

    def ask(self, device: str, key: str) -> None:
        """Request a client attribute; the answer comes in another thread, or never."""


class Outbox(Protocol):
    """The part of `records.Records` that delivery uses; its errors are OSError."""

    def journal(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Keep polled readings; returns them with numbers."""

    def pending(
        self, after: int = 0, limit: int = 1000, devices: Collection[str] | None = None
    ) -> tuple[Entry, ...]:
        """Return what is in the outbox, by number."""

    def confirmed(self, numbers: Iterable[int]) -> int:
        """Let entries leave the outbox: the platform has stored them."""

    def released(self, numbers: Iterable[int]) -> int:
        """Let entries leave the outbox without proof."""

    def refused(self, numbers: Iterable[int], reason: str) -> int:
        """Let entries leave the outbox that the platform will not store."""

    def lost(self, device: str) -> Mapping[Source, int]:
        """Note that the platform has nothing of a device; returns how many rows it lacks."""

    def trim(self, *, oldest_ms: int, most_bytes: int) -> int:
        """Drop the oldest of the journal; returns how many."""

    def devices_pending(self) -> Mapping[str, int]:
        """Return how much of each device is in the outbox."""

    def size(self) -> Size:
        """Return how much is in the outbox."""


class Size(Protocol):
    """How much is in the outbox."""

    @property
    def history_entries(self) -> int:
        """Entries of profiles."""

    @property
    def journal_entries(self) -> int:
        """Polled readings."""
