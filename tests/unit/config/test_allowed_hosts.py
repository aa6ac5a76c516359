"""What meters may be pointed at is said where the platform cannot change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlms_connector.config import AllowedHosts, allowed_hosts, load

LIST = (
    "10.20.0.0/16, fe80::/10 192.0.2.7,meter-*.example.com /dev/ttyUSB*,10.0.0.0/33 300.1.1.1 a/b"
)


def listed(text: str = LIST) -> AllowedHosts:
    hosts = allowed_hosts({"DLMS_ALLOW_HOSTS": text})
    assert hosts is not None
    return hosts


@pytest.mark.parametrize("text", [{}, {"DLMS_ALLOW_HOSTS": ""}, {"DLMS_ALLOW_HOSTS": " \n"}])
def test_without_a_list_everything_is_allowed(text: dict[str, str]) -> None:
    assert allowed_hosts(text) is None


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("10.20.255.1", True),
        ("::ffff:10.20.0.1", True),
        ("fe80::1%eth0", True),
        ("192.0.2.7", True),
        ("10.21.0.1", False),
        ("192.0.2.8", False),
        ("::ffff:10.21.0.1", False),
        ("::1", False),
        ("127.0.0.1", False),
        ("10.20.0.1.evil.example", False),
    ],
)
def test_addresses(address: str, taken: bool) -> None:
    assert listed().takes_address(address) is taken


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("meter-1.example.com", True),
        ("METER-1.Example.com.", True),
        ("meter-1.example.com.evil.org", False),
        ("example.com", False),
    ],
)
def test_names(name: str, taken: bool) -> None:
    assert listed().takes_name(name) is taken


@pytest.mark.parametrize(
    ("port", "taken"),
    [
        ("/dev/ttyUSB3", True),
        ("/dev/ttyUSB3/../../etc/shadow", False),
        ("/dev/ttyS0", False),
        ("socket://10.20.0.1:4059", False),
    ],
)
def test_serial_ports(port: str, taken: bool) -> None:
    assert listed().takes_port(port) is taken


def test_what_is_none_of_these_allows_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listed().wrong == ("10.0.0.0/33", "300.1.1.1", "a/b")
    monkeypatch.setenv("DLMS_ALLOW_HOSTS", "10.0.0.0/33")
    (note,) = load({"devices": []}, base=tmp_path).notes
    assert "DLMS_ALLOW_HOSTS: '10.0.0.0/33' is neither" in note


@pytest.mark.parametrize("host", ["10.21.0.1", "tb.example.org"])
def test_the_platforms_credentials_go_to_no_other_host(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every secret of the gateway could be sent there as the password of a user."""
    document = {"devices": [], "platform": {"url": f"https://{host}", "apiKey": "k"}}
    assert load(document, base=tmp_path).configuration.platform is not None
    monkeypatch.setenv("DLMS_ALLOW_HOSTS", LIST)
    found = load(document, base=tmp_path)
    assert found.configuration.platform is None
    assert f"platform.url: the host {host} is not in the environment" in str(found.problems)
    monkeypatch.setenv("DLMS_ALLOW_HOSTS", f"{host} 10.0.0.0/8")
    assert load(document, base=tmp_path).configuration.platform is not None
