"""The stand-in's REST API: log in, find a device, read or count its telemetry. On loopback."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dlms_connector.demo.platform_store import Store

_LONGEST = 1_000_000


class PlatformRest:
    """A small HTTP server; `users` maps names to passwords. `asked` has the paths so far."""

    def __init__(self, store: Store, users: dict[str, str]) -> None:
        self.asked: list[str] = []
        self.url = ""
        self._store, self.users = store, users
        self._tokens: set[str] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Start to listen at any free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()
            await asyncio.sleep(0)

    def expire(self) -> None:
        """Let all tokens expire."""
        self._tokens.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            token = next((line for line in head if line.lower().startswith("x-authoriz")), "")
            length = min(int(fields.get("content-length", "0")), _LONGEST)
            body = await reader.readexactly(length)
            code, content = self._answer(method, target, token.partition(": ")[2], body)
            octets = json.dumps(content, default=float).encode()
            writer.write(
                f"HTTP/1.1 {code} -\r\nContent-Type: application/json\r\nConnection: close\r\n"
                f"Date: {formatdate(usegmt=True)}\r\n"
                f"Content-Length: {len(octets)}\r\n\r\n".encode()
                + octets
            )
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, target: str, token: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        self.asked.append(parts.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if (method, parts.path) == ("POST", "/api/auth/login"):
            given = json.loads(body)
            if self.users.get(given.get("username")) != given.get("password"):
                return 401, {"message": "Invalid username or password"}
            made = secrets.token_hex(8)
            self._tokens.add(f"Bearer {made}")
            return 200, {"token": made}
        if token not in self._tokens:
            return 401, {"message": "Authentication failed"}
        if parts.path == "/api/tenant/devices":
            name = query["deviceName"]
            known = name in self._store.devices()
            return (200, {"id": {"id": self._store.device_id(name)}}) if known else (404, {})
        match parts.path.split("/")[1:]:
            case ["api", "plugins", "telemetry", "DEVICE", number, "values", "timeseries"]:
                # No device with this id, any more or ever, is no error to the real server either.
                device = self._store.device_of(number)
                if not device:
                    return 200, {}
                by_time = "startTs" in query
                found = self._telemetry(device, query) if by_time else self._newest(device)
                return 200, dict(found)
            case [*_, "DEVICE", number, "values", "attributes", "CLIENT_SCOPE"]:
                device = self._store.device_of(number)
                kept = self._store.attributes(device) if device else {}
                asked = query["keys"].split(",")
                return 200, [{"key": key, "value": kept[key]} for key in asked if key in kept]
        return 404, {}

    def _newest(self, device: str) -> Iterable[tuple[str, Any]]:
        for point in self._store.latest():
            if point.device == device:
                yield point.key, [{"ts": point.ts, "value": str(point.value)}]

    def _telemetry(self, device: str, query: dict[str, str]) -> Iterable[tuple[str, Any]]:
        start, end = int(query["startTs"]), int(query["endTs"])
        interval = int(query.get("interval", "0")) or 1
        for key in query["keys"].split(","):
            points = [
                point for point in self._store.telemetry(device, key) if start <= point.ts < end
            ]
            found: list[dict[str, Any]]
            if query.get("agg") == "COUNT":
                counts: dict[int, int] = {}
                for point in points:
                    at = start + (point.ts - start) // interval * interval + interval // 2
                    counts[at] = counts.get(at, 0) + 1
                found = [{"ts": at, "value": count} for at, count in counts.items()]
            else:
                limit = int(query.get("limit", "100"))
                found = [{"ts": point.ts, "value": str(point.value)} for point in points][-limit:]
            if found:
                yield key, found
