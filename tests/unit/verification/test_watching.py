"""One look after the other: what is told, what is asked once only, and whether anything is read."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dlms_connector.verification import Finding, Probe, Progress, Snapshot, Sources, Watch, changes
from dlms_connector.verification.progress import readings
from tests.support.installed import Gateway
from tests.unit.verification.test_checks import FILE, HEALTHY

OK, FAILED = Finding("ok", "x"), Finding("failed", "y")
UNKNOWN, WARNING = Finding("unknown", "?"), Finding("warning", "!")
URL = "http://127.0.0.1:9464/metrics"
SERVED = replace(HEALTHY, file=replace(FILE, metrics=URL))


def names(before: dict[str, Finding] | None, now: dict[str, Finding]) -> list[str]:
    return [name for name, _ in changes(before, now)]


def test_only_what_is_another_mark_than_before_is_told() -> None:
    first = {"a": OK, "b": FAILED, "c": UNKNOWN, "d": WARNING}
    assert names(None, first) == ["b", "d"]
    assert names(first, {**first, "b": Finding("failed", "another text")}) == []
    assert names(first, {**first, "b": OK, "c": OK}) == ["b", "c"]


def judged(progress: Progress, *looks: float, facts: Snapshot = SERVED) -> list[str]:
    return [progress.judge(facts, now_s).mark for now_s in looks]


def test_values_that_do_not_grow_any_more() -> None:
    read = iter([5.0, 9.0, 9.0, 9.0, 9.0, 10.0])
    # Three periods of five seconds, and a minute.
    marks = judged(Progress(lambda url: next(read)), 0, 60, 100, 134, 136, 200)
    assert marks == ["ok", "ok", "ok", "ok", "failed", "ok"]


def test_a_connector_that_does_not_answer() -> None:
    def refuses(url: str) -> float:
        raise ConnectionRefusedError("refused")

    finding = Progress(refuses).judge(SERVED, 0)
    assert finding.mark == "failed"
    assert URL in finding.text


@pytest.mark.parametrize(
    "facts",
    [HEALTHY, replace(SERVED, file=None), replace(SERVED, file=replace(FILE, standby="/run/x"))],
)
def test_nothing_is_guessed_without_metrics_or_on_standby(facts: Snapshot) -> None:
    assert judged(Progress(lambda url: 1.0), 0, 999, facts=facts) == ["unknown", "unknown"]


@pytest.fixture
def served() -> Iterator[str]:
    text = (
        "# HELP dlms_readings_total Values\n# TYPE dlms_readings_total counter\n"
        'dlms_readings_total 12.0\ndlms_meters{state="online"} 1.0\n'
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode() if self.path == "/metrics" else b"")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_count_is_read_from_the_text_of_prometheus(served: str) -> None:
    assert readings(f"{served}/metrics") == 12
    with pytest.raises(ValueError, match="no metric"):
        readings(f"{served}/other")


def test_no_proxy_is_asked_for_what_is_on_this_host(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request._opener", None)  # as in a new process
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert readings(f"{served}/metrics") == 12


def test_who_speaks_no_http_is_told_as_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"SSH-2.0-other\r\n")
                peer.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/metrics"
        finding = Progress().judge(replace(HEALTHY, file=replace(FILE, metrics=url)), 0)
        thread.join()
    assert finding.mark == "failed"
    assert "not one of HTTP" in finding.text


def test_what_costs_much_is_done_again_only_if_something_changed(tmp_path: Path) -> None:
    gateway, asked = Gateway(tmp_path), []

    def ask(*args: object) -> tuple[Probe, list[str]]:
        asked.append(args)
        return Probe(python="python"), []

    nobody = tmp_path / "proc"
    nobody.mkdir()
    (nobody / "uptime").write_text("1.0 1.0")
    watch = Watch(Sources(gateway.config, proc=nobody, ask=ask))
    for _ in range(3):
        findings = watch.look(datetime.now(), 0)
    assert findings["process"].mark == "failed"
    assert len(asked) == 1
    (gateway.config / "fleet.csv").write_text("deviceName,connection.host\nX,192.0.2.9\n")
    watch.look(datetime.now(), 0)
    assert len(asked) == 2
