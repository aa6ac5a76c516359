"""The archive: a tar file, compressed, with a manifest of checksums as its last member.

It can be looked into with `tar tzf`. Nothing is unpacked by tar's own rules when it is restored:
names only say what a member is, and each is compared with the manifest first.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from dlms_connector.errors import DlmsError

T = TypeVar("T")

FORMAT = "dlms-connector backup"
VERSION = 1
MANIFEST = "manifest.json"
RECORDS = "state/records.sqlite"

#: What is read of an archive at most: all but the records is held in memory.
_MOST_HELD = 1 << 30
_MOST_MEMBERS = 200_000
_PIECE = 1 << 20


class BackupError(DlmsError):
    """A backup cannot be made or used; nothing was changed."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    created: datetime
    connector: str
    host: str
    installation: str | None
    document: str
    table: str | None
    entry: Mapping[str, Any] | None
    left_out: tuple[tuple[str, str], ...] = ()
    counters: int = 0
    records_version: int | None = None
    #: By name: size and SHA-256.
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the archive."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "created": self.created.isoformat(timespec="seconds"),
            "connector": self.connector,
            "host": self.host,
            "installation": self.installation,
            "configuration": self.document,
            "devicesFile": self.table,
            "entry": self.entry,
            "leftOut": [{"path": path, "file": file} for path, file in self.left_out],
            "counters": self.counters,
            "recordsVersion": self.records_version,
            "files": {
                name: {"size": size, "sha256": digest}
                for name, (size, digest) in self.files.items()
            },
        }

    @classmethod
    def of(cls, found: Any) -> Manifest:
        """Read one. Raises BackupError if it is none, or of a newer format."""
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BackupError("its manifest is not that of a backup of this connector")
        version = found.get("version")
        if isinstance(version, int) and version > VERSION:
            raise BackupError(
                f"it was written by a newer version of the connector ({found.get('connector')}, "
                f"format {version}): install that version, or a newer one"
            )
        try:
            json.dumps(found, ensure_ascii=False).encode()  # halves of pairs cannot be written
            created = datetime.fromisoformat(found["created"])
            if created.tzinfo is None or version != VERSION:
                raise ValueError("no zone, or another format")
            return cls(
                created=created,
                connector=str(found["connector"]),
                host=str(found["host"]),
                installation=_optional(str, found["installation"]),
                document=str(found["configuration"]),
                table=_optional(str, found["devicesFile"]),
                entry=_optional(dict, found["entry"]),
                left_out=tuple((str(one["path"]), str(one["file"])) for one in found["leftOut"]),
                counters=int(found["counters"]),
                records_version=_optional(int, found["recordsVersion"]),
                files={
                    str(name): (int(one["size"]), str(one["sha256"]))
                    for name, one in found["files"].items()
                },
            )
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise BackupError(f"its manifest makes no sense: {error!r}") from None


def _optional(kind: type[T], value: Any) -> T | None:
    """Return what may be missing. Raises TypeError if it is something else."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


class Writing:
    """An archive that is being written; `finish` adds the manifest."""

    def __init__(self, stream: IO[bytes], breathe: Callable[[], None]) -> None:
        self._compressed = gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=6, mtime=0)
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `finish`
            fileobj=self._compressed, mode="w", format=tarfile.PAX_FORMAT
        )
        self._breathe = breathe
        self.files: dict[str, tuple[int, str]] = {}

    def add(self, name: str, content: bytes) -> None:
        """Add a member. Raises OSError."""
        self._tar.addfile(_member(name, len(content)), io.BytesIO(content))
        self.files[name] = len(content), hashlib.sha256(content).hexdigest()
        self._breathe()

    def add_file(self, name: str, path: Path) -> None:
        """Add a file that nobody changes meanwhile. Raises OSError."""
        digest, size = hashlib.sha256(), path.stat().st_size
        with path.open("rb") as file:
            self._tar.addfile(_member(name, size), _Hashing(file, digest, self._breathe))
        self.files[name] = size, digest.hexdigest()

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest and end. Raises OSError."""
        text = json.dumps(manifest.to_json(), indent=1, ensure_ascii=False).encode()
        self._tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        self._tar.close()
        self._compressed.close()


class _Hashing(io.RawIOBase):
    """Reads a file for tar, and adds what is read to a checksum."""

    def __init__(self, file: IO[bytes], digest: Any, breathe: Callable[[], None]) -> None:
        self._file, self._digest, self._breathe = file, digest, breathe

    def read(self, size: int = -1) -> bytes:
        """Return the next octets."""
        piece = self._file.read(size)
        self._digest.update(piece)
        self._breathe()
        return piece


@dataclass(frozen=True)
class Opened:
    """A backup that was read from its beginning to its end, and is whole.

    `contents` are its files but the records, which may be large.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes]

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Read a backup and prove it. Raises BackupError, or OSError if it cannot be read."""
        contents, sums = _read(path)
        manifest = _manifest(path, contents.pop(MANIFEST, None))
        sums.pop(MANIFEST, None)
        contents.pop(RECORDS, None)
        if sums != dict(manifest.files):
            bad = [name for name in {*sums, *manifest.files}
                   if sums.get(name) != manifest.files.get(name)]  # fmt: skip
            raise BackupError(
                f"{path} is damaged: {', '.join(sorted(bad)[:3])} "
                f"{'is' if len(bad) == 1 else 'are'} not as the manifest says; use another backup"
            )
        return cls(path, manifest, contents)

    @property
    def has_records(self) -> bool:
        """Whether the file of records is in it."""
        return RECORDS in self.manifest.files

    def unpack_records(self, to: IO[bytes]) -> None:
        """Write the records into an open file. Raises BackupError, OSError."""
        digest = hashlib.sha256()
        with _members(self.path) as members:
            for name, stream in members:
                if name == RECORDS:
                    while piece := stream.read(_PIECE):
                        digest.update(piece)
                        to.write(piece)
        if digest.hexdigest() != self.manifest.files[RECORDS][1]:
            raise BackupError(f"{self.path} has changed while it was restored")


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, tuple[int, str]]]:
    """Return what is in an archive, but for the octets of the records, and the checksums."""
    contents: dict[str, bytes] = {}
    sums: dict[str, tuple[int, str]] = {}
    held = 0
    with _members(path) as members:
        for name, stream in members:
            if name in sums or len(sums) >= _MOST_MEMBERS:
                raise BackupError(f"{path}: {name} is in it twice, or there are too many files")
            digest, size, pieces = hashlib.sha256(), 0, []
            while piece := stream.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                if name == RECORDS:
                    continue
                pieces.append(piece)
                if (held := held + len(piece)) > _MOST_HELD:
                    raise BackupError(f"{path} is too large for a backup of this connector")
            sums[name] = size, digest.hexdigest()
            contents[name] = b"".join(pieces)
    return contents, sums


def _manifest(path: Path, content: bytes | None) -> Manifest:
    if content is None:
        raise BackupError(
            f"{path} has no manifest: it is no backup of this connector, or only a part of one"
        )
    try:
        return Manifest.of(json.loads(content))
    except (ValueError, RecursionError):
        raise BackupError(f"{path} is damaged: its manifest is no JSON") from None
    except BackupError as error:
        raise BackupError(f"{path}: {error}") from None


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Give the members of an archive in their order, each to be read before the next one."""
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                yield _each(path, tar)
            while stream.read(_PIECE):  # to its end, where the checksum of the whole stands
                pass
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise BackupError(
            f"{path} is damaged, or no backup of this connector: {error}; use another one"
        ) from error


def _each(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is None:
            raise BackupError(f"{path}: {member.name} is no plain file, so this is no backup")
        yield member.name, stream


def _member(name: str, size: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.mode = size, 0o600
    return made
