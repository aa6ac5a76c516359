"""The real gateway as a separate process, in a temporary folder."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlms_connector.errors import DlmsError
from dlms_connector.hints import Symptom

#: Runs the gateway's entry point in a process that ends when this process ends.
_PROGRAM = ("-m", "dlms_connector.demo.gateway_program")

#: The gateway checks for updates on the Internet. A proxy that does not exist prevents this.
_STAY_AT_HOME = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}

CONNECTOR_NAME = "DLMS"
CONNECTOR_FILE = "dlms.json"


class GatewayError(DlmsError):
    """The gateway process cannot run, or failed."""

    symptoms = (Symptom.GATEWAY_FAILED,)


class GatewayProcess:
    """A gateway with the DLMS connector; only it uses `folder`, which must exist.

    `extensions` is an additional folder in which it searches for classes. Every
    `check_period_s` seconds it checks whether a configuration file has changed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        platform_port: int,
        token: str,
        configuration: Mapping[str, Any] | str,
        connector_type: str = "custom",
        storage: Mapping[str, Any] | None = None,
        remote_configuration: bool = False,
        environment: Mapping[str, str] | None = None,
        extensions: Path | None = None,
        report_strategy: Mapping[str, Any] | None = None,
        check_period_s: int = 60,
    ) -> None:
        if importlib.util.find_spec("thingsboard_gateway") is None:
            raise GatewayError(
                "the ThingsBoard gateway is not installed; "
                "pip install 'thingsboard-dlms-connector[demo]'"
            )
        self.folder = folder
        self.config_dir = folder / "config"
        self.config_dir.mkdir(parents=True, exist_ok=True)
        #: What the process finds in its environment beside that of this one, at its next start.
        self.environment = dict(environment or {})
        self._program = (*_PROGRAM, *([str(extensions)] if extensions else []))
        self._process: asyncio.subprocess.Process | None = None
        self._write(
            "tb_gateway.json",
            _gateway_configuration(
                platform_port,
                token,
                connector_type,
                storage,
                remote_configuration=remote_configuration,
                report_strategy=report_strategy or {"type": "ON_RECEIVED"},
                check_period_s=check_period_s,
            ),
        )
        self._write("logs.json", _logging_configuration())
        self.write_configuration(configuration)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    def write_configuration(self, configuration: Mapping[str, Any] | str) -> None:
        """Write dlms.json; a string is written unchanged."""
        self._write(CONNECTOR_FILE, configuration)

    def log(self) -> str:
        """Return the output of the process so far."""
        path = self.folder / "output.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    async def start(self) -> None:
        """Start the process; it connects to the platform by itself."""
        with (self.folder / "output.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._program,
                cwd=self.folder,
                env={
                    **os.environ,
                    **self.environment,
                    "TB_GW_CONFIG_DIR": f"{self.config_dir}{os.sep}",
                    "PYTHONUNBUFFERED": "1",
                    **_STAY_AT_HOME,
                },
                stdin=asyncio.subprocess.PIPE,  # never written to: it closes when this process ends
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches only the parent, which stops it
            )

    async def stop(self, how: signal.Signals = signal.SIGINT, within_s: float = 10.0) -> int:
        """End the process by a signal, or by SIGKILL after `within_s`; return its exit code."""
        process = self._process
        if process is None:
            return 0
        with suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            return await asyncio.wait_for(process.wait(), within_s)
        except asyncio.TimeoutError:
            process.kill()
            return await process.wait()

    async def __aenter__(self) -> GatewayProcess:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop(signal.SIGKILL)

    def _write(self, name: str, content: Mapping[str, Any] | str) -> None:
        text = content if isinstance(content, str) else json.dumps(content, indent=2)
        # Replace in one step: the gateway loses the connector if it finds an empty file.
        draft = self.folder / f"{name}.new"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.config_dir / name)


def _gateway_configuration(
    port: int,
    token: str,
    connector_type: str,
    storage: Mapping[str, Any] | None,
    *,
    remote_configuration: bool,
    report_strategy: Mapping[str, Any],
    check_period_s: int,
) -> Mapping[str, Any]:
    return {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": port,
            "remoteShell": False,
            "remoteConfiguration": remote_configuration,
            "statistics": {"enable": False},
            "minPackSendDelayMS": 20,
            "minPackSizeToSend": 500,
            "maxPayloadSizeBytes": 8196,
            "checkConnectorsConfigurationInSeconds": check_period_s,
            "handleDeviceRenaming": True,
            "security": {"type": "accessToken", "accessToken": token},
            "qos": 1,
            "reportStrategy": report_strategy,
            "checkingDeviceActivity": {"checkDeviceInactivity": False},
        },
        "storage": storage
        or {"type": "memory", "read_records_count": 100, "max_records_count": 100_000},
        "grpc": {"enabled": False},
        "connectors": [
            {
                "type": connector_type,
                "name": CONNECTOR_NAME,
                "class": "DLMSConnector",
                "configuration": CONNECTOR_FILE,
            }
        ],
    }


def _logging_configuration() -> Mapping[str, Any]:
    """Return a configuration that logs each record as one line to the standard output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s.%(msecs)03d |%(levelname)s| %(name)s | %(message)s"}
        },
        "handlers": {
            "output": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stdout",
            }
        },
        "root": {"level": "INFO", "handlers": ["output"]},
        "loggers": {
            name: {"level": "INFO", "handlers": [], "propagate": True}
            for name in ("service", "tb_connection", "storage", "connector", "converter")
        },
    }
