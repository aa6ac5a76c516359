"""Key material that is never printed, and the references to it.

A configuration may come from the platform, so a reference must not give access to other
data of the host. Names of environment variables have a fixed prefix. Files are below the
folders for secrets, and neither links nor `..` lead out of them. A file may say for which device
or host its secret is, so that nobody who can only write the configuration sends it elsewhere. No
error message contains the value found there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    InstanceOf,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

#: Key of the `SecretSource` in pydantic's validation context.
SOURCE = "secrets"
#: Where container platforms mount secrets.
RUN_SECRETS = Path("/run/secrets")

_LARGEST_FILE = 4096
_ENVIRONMENT_NAME = re.compile(r"(?:DLMS|METER)_[A-Za-z0-9_]+")
#: A line behind a secret that says for whom it is.
_PURPOSE = re.compile(rb"\s*(device|host)\s*:\s*(\S.*?)\s*")
_REFERENCE = re.compile(r"\$\{(env|file):([^}]*)\}")


class Secret(bytes):
    """Key material: usable as bytes, never printed."""

    def __repr__(self) -> str:
        return f"<secret, {len(self)} bytes>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def holds_reference(text: str) -> bool:
    """Whether a text looks like a reference to a secret."""
    return "${" in text


@dataclass(frozen=True)
class SecretSource:
    """Resolves references; a source without an environment only checks their syntax."""

    directories: tuple[Path, ...] = (RUN_SECRETS,)
    environment: Mapping[str, str] | None = field(default_factory=lambda: os.environ, repr=False)
    device: str = ""
    host: str = ""

    def made_for(self, device: object, connection: object) -> SecretSource:
        """Return the source for one device, whose secrets may be bound to its name or host."""
        reached = connection if isinstance(connection, Mapping) else {}
        place = reached.get("host") or reached.get("port")  # of a serial line, its port
        if reached.get("type") == "listen":
            place = reached.get("peer")
        return replace(
            self,
            device=device if isinstance(device, str) else "",
            host=place if isinstance(place, str) else "",
        )

    def read(self, reference: str) -> bytes | None:
        """Return the value of `${env:NAME}` or `${file:PATH}`; None if only its syntax is checked.

        Raises ValueError with a sentence that contains nothing of the secret.
        """
        if not (match := _REFERENCE.fullmatch(reference)):
            raise ValueError(
                "a reference is the whole value, written ${env:NAME} or ${file:PATH}; "
                "a password with '${' in it can be written as hex:…"
            )
        kind, name = match.groups()
        return self._environment(name) if kind == "env" else self._file(name)

    def _environment(self, name: str) -> bytes | None:
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise ValueError("the name of an environment variable must begin with DLMS_ or METER_")
        if self.environment is None:
            return None
        if not (value := self.environment.get(name, "")):
            raise ValueError(f"the environment variable {name} is not set for this process")
        return os.fsencode(value)

    def _file(self, name: str) -> bytes | None:
        if not name or "\0" in name:
            raise ValueError("${file:PATH} names no file")
        if self.environment is None:
            return None
        path = find_below(self.directories, name)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("${file:PATH} is not a plain file")
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ValueError(f"${{file:PATH}} is larger than {_LARGEST_FILE} bytes")
        secret, purposes = _split(content)
        self._check(purposes)
        return secret

    def _check(self, purposes: Mapping[str, set[str]]) -> None:
        """Refuse a secret that is for others: each kind of purpose must name this device."""
        ours = {"device": self.device, "host": self.host.casefold()}
        for kind, allowed in purposes.items():
            if ours[kind] not in allowed:
                raise ValueError(f"the secret's file says that it is for another {kind}")


def _split(content: bytes) -> tuple[bytes, dict[str, set[str]]]:
    """Return the secret of a file, and for which devices and hosts it is.

    Purposes are the last lines, such as `device: Meter-01` or `host: 192.168.1.127`.
    """
    lines = content.removesuffix(b"\n").split(b"\n")
    purposes: dict[str, set[str]] = {}
    while len(lines) > 1 and (match := _PURPOSE.fullmatch(lines[-1])):
        kind, name = match[1].decode(), match[2].decode("utf-8", "replace")
        purposes.setdefault(kind, set()).add(name.casefold() if kind == "host" else name)
        lines.pop()
    return b"\n".join(lines).removesuffix(b"\r"), purposes


def find_below(directories: Iterable[Path], name: str) -> Path:
    """Return the path of a file below one of the folders, with links resolved.

    Raises ValueError if there is no readable file, or if it is outside of all folders.
    """
    outside = False
    for directory in directories:
        try:
            root = directory.resolve()
            path = (root / name).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if not path.is_relative_to(root):
            outside = True
        elif path.is_file() and os.access(path, os.R_OK):
            return path
    folders = " or ".join(str(directory) for directory in directories)
    if outside or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"the file does not lie under {folders}")
    raise ValueError(f"there is no such readable file under {folders}")


def _resolve(value: Any, info: ValidationInfo) -> bytes | str | None:
    """Return the text, or the value of a reference; None if a reference is only checked."""
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")
    if not holds_reference(value):
        return value
    source: SecretSource = (info.context or {}).get(SOURCE) or SecretSource()
    try:
        return source.read(value)
    except OSError as error:
        raise ValueError(f"the file of the secret cannot be read: {error.strerror}") from None


def _hex(text: str) -> Secret:
    try:
        return Secret(bytes.fromhex(text.strip()))
    except ValueError:
        raise ValueError("not hexadecimal (two digits 0-9 A-F for each byte)") from None


def _password(value: Any, info: ValidationInfo) -> Secret:
    if isinstance(value, bytes):
        return Secret(value)
    found = _resolve(value, info)
    if found is None:
        return Secret()
    try:
        raw = found.encode() if isinstance(found, str) else found
    except UnicodeEncodeError:
        raise ValueError("holds characters that cannot be encoded; write it as hex:…") from None
    if raw.startswith(b"hex:"):
        raw = _hex(raw[4:].decode("ascii", "replace"))
    if not raw:
        raise ValueError("must not be empty")
    return Secret(raw)


def _key(value: Any, info: ValidationInfo) -> Secret:
    if isinstance(value, bytes):
        return Secret(value)
    found = _resolve(value, info)
    if found is None:
        return Secret()
    text = found if isinstance(found, str) else found.decode("ascii", "replace")
    if not (key := _hex(text.strip().removeprefix("hex:"))):
        raise ValueError("must not be empty")
    return key


_HIDDEN = PlainSerializer(lambda _: "<secret>", return_type=str, when_used="json")
_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "format": "password"}

#: A password: text, `hex:…`, or a reference.
Password = Annotated[
    InstanceOf[Secret], BeforeValidator(_password), _HIDDEN, WithJsonSchema(_SCHEMA)
]
#: A key: hexadecimal, or a reference to a hexadecimal text.
KeyBytes = Annotated[InstanceOf[Secret], BeforeValidator(_key), _HIDDEN, WithJsonSchema(_SCHEMA)]
