"""Simulated meters in a process of their own, and how they are configured here."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from dlms_connector.config.model import Device
from dlms_connector.link import make_link
from dlms_connector.meter import AnyMeter, meter_of
from dlms_connector.protocol.client import make_client
from dlms_connector.simulator import MeterOptions, simulate

LOG = logging.getLogger("bench")
REGISTERS = ("1-0:1.8.0", "1-0:2.8.0", "1-0:1.7.0", "1-0:2.7.0", "1-0:32.7.0")
#: The client that may cipher; the public client (16) reads the invocation counter.
CLIENT, PUBLIC = 1, 16
CLIENT_TITLE = bytes.fromhex("4755525800000001")
COUNTER = "0-0:43.1.0"
AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))


def block_key(number: int) -> bytes:
    """Return a meter's own key, of which the connector counts the uses."""
    return number.to_bytes(16, "big")


def options(number: int, framing: Any, *, ciphered: bool, **more: Any) -> dict[str, Any]:
    """Return the options of a simulated meter."""
    secure: dict[str, Any] = {}
    if ciphered:
        secure = {
            "security": "AUTHENTICATION_ENCRYPTION",
            "client_title": CLIENT_TITLE,
            "client_address": CLIENT,
            "block_cipher_key": block_key(number),
            "authentication_key": AUTHENTICATION_KEY,
        }
    return {"serial": number + 1, "framing": framing, **secure, **more}


def section(number: int, port: int, framing: str, *, ciphered: bool, **more: Any) -> dict[str, Any]:
    """Return a meter's section of the configuration: five registers."""
    dlms: dict[str, Any] = {"interfaceType": framing}
    if ciphered:
        dlms |= {
            "clientAddress": CLIENT,
            "security": "AUTHENTICATION_ENCRYPTION",
            "systemTitle": CLIENT_TITLE.hex(),
            "serverSystemTitle": title(number).hex(),
            "blockCipherKey": block_key(number).hex(),
            "authenticationKey": AUTHENTICATION_KEY.hex(),
            "invocationCounter": COUNTER,
        }
    return {
        "deviceName": f"M{number + 1}",
        "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 10_000},
        "dlms": dlms,
        "timeseries": [{"key": code, "obis": code} for code in REGISTERS],
        **more,
    }


def title(number: int) -> bytes:
    """Return a simulated meter's system title."""
    return MeterOptions(serial=number + 1).title()


def ours(
    ports: Sequence[int],
    framing: str,
    folder: Path,
    *,
    ciphered: bool,
    first: int = 0,
    **more: Any,
) -> list[AnyMeter]:
    """Return our meters from a number on, not connected yet; call this in a loop."""
    made = []
    for number, port in enumerate(ports, first):
        device = Device.model_validate(section(number, port, framing, ciphered=ciphered, **more))
        link = make_link(device.connection)
        made.append(
            meter_of(
                device,
                link,
                open_link=link.open,
                make_client=make_client,
                now_ms=lambda: time.time_ns() // 1_000_000,
                log=LOG,
                state_dir=folder,
            )
        )
    return made


class Simulated:
    """Meters in another process, as a context: their ports.

    Its niceness is `stepping_back` above ours: on few cores the meters, which stand for other
    machines, shall not take what is measured.
    """

    def __init__(self, meters: Sequence[Mapping[str, Any]], *, stepping_back: int = 0) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, meters, stepping_back), daemon=True
        )

    def __enter__(self) -> list[int]:
        self._process.start()
        ports: list[int] = self._pipe.recv()
        return ports

    def __exit__(self, *_: object) -> None:
        self._pipe.send("stop")
        self._process.join()


def _serve(pipe: Pipe, meters: Sequence[Mapping[str, Any]], stepping_back: int) -> None:
    """Serve until the pipe says something."""
    os.nice(stepping_back)

    async def body() -> None:
        async with simulate([MeterOptions(**each) for each in meters]) as endpoints:
            pipe.send([endpoint.port for endpoint in endpoints])
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    asyncio.run(body())
