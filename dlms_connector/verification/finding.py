"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: `unknown`: it could not be found out. Only `failed` makes an installation unhealthy.
Mark = Literal["ok", "warning", "failed", "unknown"]


@dataclass(frozen=True)
class Finding:
    """A sentence on one matter, its mark, and what to do about it."""

    mark: Mark
    text: str
    remedy: str = ""


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.mark != "failed" for finding in findings)


def ok(text: str) -> Finding:
    """Return that all is well."""
    return Finding("ok", text)
