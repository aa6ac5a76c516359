"""The command's output and exit codes, with facts as they are gathered or as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main, verify
from dlms_connector.verification import CHECKS, Finding, Snapshot, Sources, Watch
from tests.unit.verification.test_checks import FILE, HEALTHY


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[Snapshot]:
    """Give the facts that are gathered next, last one first."""
    waiting = [HEALTHY]

    def gather(sources: Sources, now: object) -> Snapshot:
        return waiting[-1]

    monkeypatch.setattr(verify, "gather", gather)
    for name in ("DLMS_PLATFORM_PASSWORD", "DLMS_PLATFORM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return waiting


def run(*options: str) -> Result:
    return CliRunner().invoke(main, ["verify", "--gateway-config", "/etc/gw", *options])


def test_healthy(facts: list[Snapshot]) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == [f"✓ {name}" for name in CHECKS]
    assert lines[-1] == f"{len(CHECKS)} checks: 0 failed"


def test_a_failure_has_its_remedy_in_its_line(facts: list[Snapshot]) -> None:
    facts.append(Snapshot(config_dir=Path("/etc/gw")))
    result = run()
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if " process: " in line]
    assert line.startswith("✗ process: no gateway runs with /etc/gw → start it: ")


def test_json(facts: list[Snapshot]) -> None:
    facts.append(Snapshot(config_dir=Path("/etc/gw")))
    result = run("--json")
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["healthy"] is False
    assert [each["check"] for each in document["checks"]] == list(CHECKS)
    assert document["checks"][0]["mark"] == "failed"


def test_the_platform_needs_a_user(facts: list[Snapshot]) -> None:
    result = run("--platform", "http://127.0.0.1:9", "--user", "u")
    assert result.exit_code == 1
    assert "DLMS_PLATFORM_PASSWORD" in result.output


def test_a_configured_password_goes_to_no_other_address(
    facts: list[Snapshot], tmp_path: Path
) -> None:
    from dataclasses import replace

    path = tmp_path / "dlms.json"
    access = {"url": "https://tb.example", "username": "u", "password": "s3cret"}
    path.write_text(json.dumps({"platform": access, "devices": []}))
    facts.append(replace(HEALTHY, file=replace(FILE, path=path)))
    result = run("--platform", "http://127.0.0.1:9")
    assert "--platform needs a user" in result.output
    assert "s3cret" not in result.output


def test_a_platform_that_is_not_there(
    facts: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLMS_PLATFORM_PASSWORD", "s3cret")
    result = run("--platform", "http://127.0.0.1:9", "--user", "u")
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if " data: " in line]
    assert line.startswith("✗ data: http://127.0.0.1:9/api/auth/login: ")
    assert "s3cret" not in result.output


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time pass only where the command waits; returns how long it has waited."""
    waited: list[float] = []
    monkeypatch.setattr(verify, "pause", waited.append)
    monkeypatch.setattr(verify, "clock", lambda: sum(waited))
    return waited


def watched(monkeypatch: pytest.MonkeyPatch, *healthy: bool) -> None:
    """Let one look after the other be healthy or not."""
    marks = iter(healthy)
    monkeypatch.setattr(
        Watch,
        "look",
        lambda *args: {"session": Finding("ok" if next(marks) else "failed", "said")},
    )


def test_a_watch_ends_at_the_first_failure(
    monkeypatch: pytest.MonkeyPatch, looks: list[float]
) -> None:
    watched(monkeypatch, True, True, False)
    result = run("--watch", "--every", "30")
    assert (result.exit_code, looks) == (1, [30, 30])
    first, last = result.output.splitlines()
    assert first.endswith("✓ nothing fails")
    assert last.endswith("✗ session: said")


def test_a_watch_that_keeps_going_tells_changes_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, looks: list[float]
) -> None:
    watched(monkeypatch, False, False, True, True)
    result = run("--watch", "--keep-going", "--every", "30", "--for", "80")
    assert (result.exit_code, looks) == (0, [30, 30, 20])
    assert [line[20:] for line in result.output.splitlines()] == [
        "✗ session: said", "✓ session: said",
    ]  # fmt: skip


def test_a_watch_writes_no_json() -> None:
    assert run("--watch", "--json").exit_code == 2
