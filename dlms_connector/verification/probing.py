"""Asks the gateway's own Python, in the environment and as the user of its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlms_connector.verification.processes import Process
from dlms_connector.verification.snapshot import Entry, Probe

#: Seconds for an import on a slow machine.
_WITHIN_S = 60.0
#: The program comes by the standard input: that user may not read our files. What lies in the
#: working directory is not imported: anyone may have put it there.
_START = "import sys; sys.path[:] = filter(None, sys.path); exec(sys.stdin.read())"
_PROGRAM = Path(__file__).with_name("probe_program.py")


def probe(process: Process | None, entry: Entry, file: Path) -> tuple[Probe, list[str] | None]:
    """Return what that Python says, and the problems of the connector's file as it sees them.

    Without a process, this Python is asked.
    """
    python = process.python if process else sys.executable
    options: dict[str, Any] = {"env": dict(os.environ)}
    if process and process.environment is not None:
        options |= {"env": dict(process.environment), "cwd": process.directory}
    if process and os.geteuid() == 0 and process.owner[0] != 0:
        # What that user could change must not run as root.
        uid, gid = process.owner
        options |= {"user": uid, "group": gid, "extra_groups": []}
    options["env"]["PYTHONDONTWRITEBYTECODE"] = "1"
    answer, error = _ask(
        [python, "-c", _START, entry.type, entry.class_name or "DLMSConnector", str(file)], options
    )
    made = Probe(
        python=python,
        loaded_from=_text(answer.get("loadedFrom")),
        error=error or str(answer.get("error", "")),
        versions={str(key): str(value) for key, value in _mapping(answer.get("versions")).items()},
        of_the_process=process is not None,
    )
    problems = answer.get("problems")
    return made, [str(each) for each in problems] if isinstance(problems, list) else None


def _ask(command: list[str], options: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    try:
        done = subprocess.run(  # noqa: S603 - the gateway's own interpreter
            command,
            input=_PROGRAM.read_bytes(),
            capture_output=True,
            timeout=_WITHIN_S,
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        return {}, f"did not answer within {_WITHIN_S:g} s"
    except (OSError, subprocess.SubprocessError) as error:
        return {}, f"cannot be run: {error}"
    last = done.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        return _mapping(json.loads(last)), ""
    except ValueError:
        told = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return {}, told or f"ended with {done.returncode} and said nothing"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
