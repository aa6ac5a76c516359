"""Keys that say how delivery is proved, and what is kept until then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import Loaded, load

PASSWORD = "not-for-the-log"


def loaded(tmp_path: Path, period_ms: int = 60_000, **keys: Any) -> Loaded:
    items = [{"key": f"k{n}", "obis": f"1-0:{n}.7.0"} for n in range(1, 6)]
    device = {"deviceName": "M", "connection": {"host": "h"}, "timeseries": items}
    return load({"defaults": {"pollPeriod": period_ms}, "devices": [device], **keys}, base=tmp_path)


def test_defaults(tmp_path: Path) -> None:
    made = loaded(tmp_path).configuration
    assert (made.confirm, made.confirm_period_ms) == ("auto", 60_000)
    assert made.platform is None


def test_a_platform_with_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_PLATFORM_PASSWORD", PASSWORD)
    platform = {
        "url": "https://tb.example.com/base/",
        "username": "auditor@example.com",
        "password": "${env:DLMS_PLATFORM_PASSWORD}",
    }
    found = loaded(tmp_path, platform=platform)
    assert not found.every_problem
    made = found.configuration.platform
    assert made is not None
    assert made.url == "https://tb.example.com/base"
    assert bytes(made.password or b"") == PASSWORD.encode()
    assert PASSWORD not in repr(made)
    assert PASSWORD not in found.configuration.model_dump_json()


def test_the_platforms_secret_lies_in_the_folder_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text(f"{PASSWORD}\nhost: tb.example.com\n")
    for host, good in (("tb.example.com", True), ("elsewhere.example.com", False)):
        platform = {"url": f"https://{host}", "apiKey": "${file:key}"}
        found = loaded(tmp_path, platform=platform)
        assert bool(found.configuration.platform) == good
        assert PASSWORD not in str(found.every_problem)


@pytest.mark.parametrize(
    ("platform", "problem"),
    [
        ({"url": "tb"}, "platform.url: this is not an address such as"),
        ({"url": "ftp://tb", "apiKey": "k"}, "is not an address"),
        ({"url": "https://tb?x=1", "apiKey": "k"}, "is not an address"),
        ({"url": "https://tb", "username": "u"}, "give `username` and `password`, or `apiKey`"),
        (
            {"url": "https://tb", "username": "u", "password": "p", "apiKey": "k"},
            "give `username` and `password`, or `apiKey`",
        ),
    ],
)
def test_a_platform_that_is_refused(tmp_path: Path, platform: dict[str, str], problem: str) -> None:
    problems = loaded(tmp_path, platform=platform).problems
    assert problem in " ".join(problems)


def test_a_password_in_the_address_is_not_shown(tmp_path: Path) -> None:
    platform = {"url": f"https://user:{PASSWORD}@tb.example.com", "apiKey": "k"}
    problems = loaded(tmp_path, platform=platform).problems
    assert problems
    assert PASSWORD not in str(problems)


@pytest.mark.parametrize(
    ("keys", "note"),
    [
        (
            {"journal": {"maxAge": "PT2M"}},
            "journal.maxAge: PT2M is less than 5 times confirmPeriod",
        ),
        ({"journal": {}, "confirm": "none"}, "journal: with `confirm: none`"),
        (
            {"journal": {"maxAge": "P30D", "maxMegabytes": 1}, "period_ms": 1000},
            "journal.maxMegabytes: 1 MB hold about 52 minutes",
        ),
    ],
)
def test_limits_of_the_journal_that_make_no_sense(
    tmp_path: Path, keys: dict[str, Any], note: str
) -> None:
    assert any(note in each for each in loaded(tmp_path, **keys).notes)
    assert not loaded(tmp_path, journal={}).notes
