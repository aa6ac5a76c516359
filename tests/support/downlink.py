"""What stands between the gateway's threads and the meters' loop, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dlms_connector.gateway.downlink import Downlink
from dlms_converters.downlink import DLMSDownlinkConverter
from tests.support.commands import LOG, MetersInMemory, device


class Gateway:
    """The gateway's service; `renamed` are the platform's names by ours."""

    def __init__(self, folder: Path) -> None:
        self._TBGatewayService__renamed_devices: dict[str, str] = {}
        self.folder = folder
        self.replies: list[Any] = []
        self.online = True
        self.broken = False
        self.tb_client = SimpleNamespace(is_connected=lambda: self.online)

    def rename(self, old: str, new: str) -> None:
        self._TBGatewayService__renamed_devices[old] = new

    def send_rpc_reply(self, *, device: Any, req_id: Any, content: Any) -> None:
        if self.broken:
            raise RuntimeError("the gateway is in trouble")
        self.replies.append((device, req_id, content))

    def get_config_path(self) -> str:
        return str(self.folder)


class Bench:
    """A downlink that has meters, unless it is still starting."""

    def __init__(
        self,
        folder: Path,
        *names: str,
        audit: bool = False,
        starting: bool = False,
        connector_id: str | None = None,
        **keys: Any,
    ) -> None:
        self.gateway = Gateway(folder)
        self.devices = [device(name, **keys) for name in names or ("M1",)]
        self.attributes: list[Any] = []
        self.telemetry: list[Any] = []
        self.meters = MetersInMemory()
        self.queued: list[Callable[[], None]] = []
        self.stopped = False
        #: After how many jobs the loop ends.
        self.lasts = 1_000_000
        for one in self.devices:
            self.meters.add(one)
        self.downlink = Downlink(
            self.gateway,
            "custom",
            self.devices,
            {one.device_name: DLMSDownlinkConverter(one, LOG) for one in self.devices},
            run=self.run,
            tell_attributes=lambda one, values: self.attributes.append((one.device_name, values)),
            tell_telemetry=lambda one, key, value: self.telemetry.append((key, value)),
            audit_telemetry=audit,
            log=LOG,
            connector_id=connector_id,
        )
        self.folder = folder
        if not starting:
            self.downlink.start(self.meters, folder)

    def run(self, job: Callable[[], None]) -> bool:
        if self.stopped or len(self.queued) >= self.lasts:
            return False
        self.queued.append(job)
        return True

    def call(self, method: str, params: Any = None, *, device: str = "M1", number: Any = 1) -> None:
        data = {"id": number, "method": method, "params": params}
        self.downlink.device_call({"device": device, "data": data, "id": number})

    def ask(self, method: str, params: Any = None) -> Any:
        """Call the connector and return what is told at once."""
        content = {"method": f"custom_{method}", "params": params, "id": "9"}
        return self.downlink.connector_call(content)

    def form(self, command: str, params: Any = None, **keys: Any) -> Any:
        """Call the connector as the form of the RPC tab does."""
        return self.ask(command, {"command": command, "params": params or {}, **keys})

    def outcomes(self) -> list[tuple[str, Any]]:
        """Return the outcomes that devices have told as attributes."""
        return [(name, values["dlmsLastCall"]) for name, values in self.attributes]

    async def work(self) -> None:
        """Do what was handed over to the loop."""
        queued, self.queued = self.queued, []
        for job in queued:
            job()
        for _ in range(30):
            await asyncio.sleep(0)
