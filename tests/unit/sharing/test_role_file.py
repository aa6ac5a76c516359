"""The file that makes a gateway active, and what a configuration may name for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlms_connector.sharing import RoleFile, problem_of


def test_only_existence_counts(tmp_path: Path) -> None:
    path = tmp_path / "dlms-active"
    file = RoleFile(path)
    assert not file.is_active()
    path.touch(0o000)
    assert file.is_active()
    path.unlink()
    assert not file.is_active()


def test_what_cannot_be_seen_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not RoleFile(tmp_path / "file" / "below").is_active()
    assert not RoleFile(tmp_path / ("x" * 300)).is_active()
    assert not RoleFile(Path("a\0b")).is_active()


@pytest.mark.parametrize("path", ["/run/dlms-active", "/var/run/dlms-active", "/run/dlms"])
def test_what_the_platform_may_name(path: str) -> None:
    assert problem_of(path, from_platform=True) is None


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/root/.ssh/id_rsa",
        "/run/sshd.pid",
        "/run/../etc/dlms-x",
        "/run/secrets/dlms-key",
        "/run/user/0/dlms-active",
        "/net/evil.example/dlms-active",
        "/run/dlms-active/../sshd.pid",
    ],
)
def test_what_only_the_host_may_name(path: str) -> None:
    assert problem_of(path, from_platform=True)
    assert problem_of(path, from_platform=False) is None


@pytest.mark.parametrize("path", ["dlms-active", "", " ", "/run/a\0b"])
def test_what_is_no_path(path: str) -> None:
    assert problem_of(path, from_platform=False)
