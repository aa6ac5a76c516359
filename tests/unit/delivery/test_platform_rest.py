"""Requests to the platform whose outcome shows no secret."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dlms_connector.delivery import PlatformRest, RestError

_URL = "http://127.0.0.1:9"


@pytest.mark.parametrize("secret", [b"SECRET\nkey", "SECRET\u20ac".encode(), b"SECRET\xff"])
def test_an_api_key_that_no_header_can_hold_is_told_and_not_shown(secret: bytes) -> None:
    """A file with a secret may end in a line break, and http.client quotes what it refuses."""
    rest = PlatformRest(_URL, api_key=secret)
    with pytest.raises(RestError, match=r"check platform\.apiKey") as told:
        rest.counts("M1", "load", 0, 8)
    assert "SECRET" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_password_that_is_no_text_is_told_and_not_shown() -> None:
    rest = PlatformRest(_URL, username="tenant", password=b"SECRET\xff")
    with pytest.raises(RestError, match=r"check platform\.password") as told:
        rest.counts("M1", "load", 0, 8)
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize(
    "found",
    [{"load": [{"ts": 1, "value": "a few"}]}, {"load": [{"value": "1"}]}, {"load": [7]},
     {"load": {"ts": 1}}, {"load": 5}, {"load": [{"ts": float("inf"), "value": "1"}]}],
)  # fmt: skip
def test_an_answer_of_another_form_is_told(found: object, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = PlatformRest(_URL, api_key=b"k")
    answers = {"/api/tenant": {"id": {"id": "0011"}}, "/api/plugins": found}
    monkeypatch.setattr(rest, "get", lambda path: answers["/".join(path.split("/")[:3])])
    with pytest.raises(RestError, match=r"makes no sense: .*; is platform\.url a ThingsBoard\?"):
        rest.counts("M1", "load", 0, 8)


def test_an_id_that_no_path_can_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = PlatformRest(_URL, api_key=b"k")
    monkeypatch.setattr(rest, "get", lambda path: {"id": {"id": "\ud800"}})
    with pytest.raises(RestError, match="makes no sense"):
        rest.newest("M1")


def test_attributes_of_another_form_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = PlatformRest(_URL, api_key=b"k")
    answers = {"/api/tenant": {"id": {"id": "0011"}}, "/api/plugins": ["dlmsState"]}
    monkeypatch.setattr(rest, "get", lambda path: answers["/".join(path.split("/")[:3])])
    with pytest.raises(RestError, match="makes no sense"):
        rest.client_attributes("M1", ["dlmsState"])


@pytest.mark.parametrize(
    "date",
    ["Fri, 2 Nov 99999999999 23:30:00 GMT", "Fri, 2 Nov 2026 23:30:00 +99999999999999", "soon", ""],
)
def test_a_date_that_there_is_not_is_left_alone(date: str) -> None:
    """The clock of the host is judged by it; the answer has its use without."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", date)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Tell nobody."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.timeout = 20.0
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        rest = PlatformRest(f"http://127.0.0.1:{server.server_port}", api_key=b"k")
        assert rest.get("/api/x") == {}
        assert rest.date_s is None
        thread.join()
