"""Firmware images on the gateway's disk, read from one folder only."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from dlms_connector.errors import CommandError

#: Under the gateway's configuration folder.
FOLDER = "firmware"
_LARGEST = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Image:
    """A firmware image and the identifier under which the meter takes it.

    `digest` is the SHA-256 in hexadecimal; it distinguishes images of the same name. It is
    calculated once: for a large image that takes as long as a poll. `mark` distinguishes files
    on the disk, and tells whether one was changed.
    """

    file: str
    identifier: bytes
    octets: bytes = field(repr=False)
    digest: str = ""
    size: int = 0
    mark: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", hashlib.sha256(self.octets).hexdigest())
            object.__setattr__(self, "size", len(self.octets))

    def of(self, other: Image) -> Image:
        """Return this image with the octets of an equal one, so that they are held once."""
        return replace(self, octets=other.octets)

    def described(self) -> Image:
        """Return this image without its octets."""
        return replace(self, octets=b"")


def read_image(
    folder: Path, name: str, identifier: str | None, known: Iterable[Image] = ()
) -> Image:
    """Read an image below `folder`; neither links nor `..` are followed. Raises CommandError.

    The identifier is text or `hex:…`; the default is the file name without its extension. A
    file whose octets are `known` is not read again.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise CommandError(f"file: {name[:80]!r} is not a file within {FOLDER}/")
    under = _identifier(identifier, path)
    image = _read(folder, path, under, {one.mark: one for one in known})
    if not image.octets:
        raise CommandError(f"file: {FOLDER}/{path} is empty")
    return image


def _identifier(text: str | None, path: PurePosixPath) -> bytes:
    if text is None:
        return path.stem.encode()
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text[4:])
    except ValueError:
        raise CommandError(f"identifier: {text[:80]!r} is not hexadecimal") from None


def _read(
    folder: Path, path: PurePosixPath, identifier: bytes, known: Mapping[tuple[int, ...], Image]
) -> Image:
    """Read a file, opening it folder by folder: even a link created meanwhile is not followed."""
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        for part in path.parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            opened.append(os.open(part, flags, dir_fd=opened[-1]))
        # Without O_NONBLOCK, opening a named pipe would block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        opened.append(os.open(path.name, flags, dir_fd=opened[-1]))
        facts = os.fstat(opened[-1])
        if not stat.S_ISREG(facts.st_mode):
            raise CommandError(f"file: {FOLDER}/{path} is not a file")
        if facts.st_size > _LARGEST:
            raise CommandError(f"file: {FOLDER}/{path} has {facts.st_size} bytes, too many")
        mark = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        if same := known.get(mark):
            return replace(same, file=str(path), identifier=identifier)
        with os.fdopen(opened.pop(), "rb") as file:
            return Image(str(path), identifier, file.read(_LARGEST + 1), mark=mark)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"file: {FOLDER}/{path} cannot be read: {reason}; put the image into the folder "
            f"{FOLDER}/ beside the gateway's configuration (links are not followed)"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
