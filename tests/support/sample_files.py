"""The samples in gateway-config/, in a folder with all the secrets that they refer to."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from tests.support.places import GATEWAY_CONFIG

SAMPLES = GATEWAY_CONFIG / "samples"
SCHEMA = GATEWAY_CONFIG / "dlms.schema.json"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.json"))

_REFERENCE = re.compile(r"\$\{(env|file):([\w-]+)\}")


def document(name: str) -> dict[str, Any]:
    """Return a sample as it is shipped."""
    read: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return read


def secret(name: str) -> str:
    """Return a secret of the kind that a name tells: a key, or a password."""
    if name.lower().endswith("ak"):
        return "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"
    if name.lower().endswith("ek"):
        return "000102030405060708090A0B0C0D0E0F"
    return "12345678"


def copied(folder: Path) -> dict[str, str]:
    """Copy the samples and the schema to a folder, with the files of their secrets.

    Returns the environment variables that they refer to. `$schema` leads to the schema there.
    """
    shutil.copytree(SAMPLES, folder / "samples")
    shutil.copy(SCHEMA, folder)
    kept = folder / "samples" / "secrets"
    kept.mkdir(mode=0o700)
    variables = {}
    for path in SAMPLES.glob("*.*"):
        for kind, name in _REFERENCE.findall(path.read_text("utf-8")):
            if kind == "env":
                variables[name] = secret(name)
            else:
                (kept / name).write_text(secret(name) + "\n")
                (kept / name).chmod(0o600)
    return variables
