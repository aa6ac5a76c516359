"""Scrapes over HTTP: bounded, and gone with the connector."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dlms_connector.metrics import description
from dlms_connector.metrics.exposition import Measured, registry_of
from dlms_connector.metrics.server import MetricsServer


def measure() -> Iterator[Measured]:
    yield Measured(description.POLLS, {("ok",): 3})


def serve(port: int = 0, host: str = "127.0.0.1") -> MetricsServer:
    return MetricsServer(host, port, registry_of(measure), "test metrics")


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if "metrics" in one.name]


def test_a_scrape_is_text_that_prometheus_reads() -> None:
    server = serve()
    (family,) = text_string_to_metric_families(scraped(server.port))
    server.close()
    assert family.type == "counter"
    (sample,) = [one for one in family.samples if one.name == "dlms_polls_total"]
    assert (sample.labels, sample.value) == ({"result": "ok"}, 3.0)


def test_a_hundred_servers_leave_nothing_behind() -> None:
    server = serve()
    port = server.port
    for _ in range(100):
        server.close()
        server = serve(port)  # the port is free at once
    assert "dlms_polls_total" in scraped(port)
    server.close()
    assert threads() == []
    serve(port).close()


def test_a_busy_port_is_an_error_at_once() -> None:
    server = serve()
    with pytest.raises(OSError, match="in use"):
        serve(server.port)
    server.close()


def test_clients_that_say_nothing_do_not_keep_others_out_or_the_server_open() -> None:
    server = serve()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    assert "dlms_polls_total" in scraped(server.port)
    many = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    ended: set[socket.socket] = set()
    while len(ended) < 12:  # eight at once, of 24
        readable, _, _ = select.select([one for one in many if one not in ended], [], [], 30)
        assert readable, "the others are not hung up on"
        ended.update(readable)
    server.close()
    assert all(_hung_up(one) for one in silent)
    assert threads() == []
    for one in (*silent, *many):
        one.close()


def _hung_up(client: socket.socket) -> bool:
    client.settimeout(30)
    try:
        return client.recv(1) == b""
    except OSError:
        return True


def test_a_measure_that_fails_costs_that_scrape_only() -> None:
    fails = [True]

    def measured() -> Iterator[Measured]:
        if fails:
            fails.clear()
            raise RuntimeError("the meters are gone")
        yield from measure()

    server = MetricsServer("127.0.0.1", 0, registry_of(measured), "test metrics")
    with pytest.raises(OSError, match=r"500|closed|reset"):
        scraped(server.port)
    assert "dlms_polls_total" in scraped(server.port)
    server.close()


def test_ipv6_where_there_is_one() -> None:
    try:
        server = serve(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with urlopen(f"http://[::1]:{server.port}/", timeout=30) as answer:
        assert b"dlms_polls_total" in answer.read()
    server.close()
