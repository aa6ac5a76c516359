"""Finds secrets in whatever a run has left, in every way in which they are likely to be written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes


def _base64(secret: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of a secret within other octets: one text for each offset."""
    for before in range(3):
        after = -(before + len(secret)) % 3
        text = base64.b64encode(bytes(before) + secret + bytes(after))
        # The first and the last group depend on the neighbours.
        kept = text[4 if before else 0 : -4 if after else None]
        if len(kept) >= 8:
            yield kept
            yield kept.translate(bytes.maketrans(b"+/", b"-_"))


def _hex(secret: bytes) -> re.Pattern[bytes]:
    """Match two digits for each octet, with whatever usually stands between them."""
    between = rb"(?:[\s:,;%\\-]|0?x){0,6}"
    return re.compile(between.join(f"{octet:02x}".encode() for octet in secret), re.IGNORECASE)


def _numbers(secret: bytes) -> Iterator[bytes]:
    for separator in (", ", ",", " "):
        yield separator.join(map(str, secret)).encode()


def _escaped(secret: bytes) -> Iterator[bytes]:
    yield repr(secret)[2:-1].encode()
    yield repr(repr(secret))[3:-2].encode()
    yield quote_from_bytes(secret, safe="").encode()
    text = json.dumps("".join(map(chr, secret)))
    yield text[1:-1].encode()
    yield json.dumps(text)[3:-3].encode()


def _texts(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret[::-1]
    yield "".join(map(chr, secret)).encode("utf-16-le")
    yield "".join(map(chr, secret)).encode("utf-8")


_WAYS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {
    "octets": _texts,
    "base64": _base64,
    "numbers": _numbers,
    "escaped": _escaped,
}


class Collector:
    """Takes what is to be looked at, and tells which of it shows a secret, and how."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """Take the secrets by names that tests may show."""
        self._forms = {
            (name, way): re.compile(b"|".join(re.escape(form) for form in set(forms(secret))))
            for name, secret in secrets.items()
            for way, forms in _WAYS.items()
        } | {(name, "hexadecimal"): _hex(secret) for name, secret in secrets.items()}
        self._found: list[str] = []
        #: How many octets were looked at, by what they are.
        self.looked_at: dict[str, int] = {}

    def take(self, what: str, content: bytes | str) -> None:
        """Look through some octets."""
        octets = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        self.looked_at[what] = self.looked_at.get(what, 0) + len(octets)
        for (name, way), form in self._forms.items():
            if match := form.search(octets):
                around = octets[max(0, match.start() - 60) : match.start()]
                self._found.append(f"{what} shows {name} as {way}, behind {around!r}")

    def take_files(self, what: str, folder: Path, leave_out: Iterable[Path] = ()) -> None:
        """Look through all files below a folder, and at their names."""
        left_out = set(leave_out)
        for path in sorted(folder.rglob("*")):
            if path in left_out or left_out & set(path.parents):
                continue
            self.take(f"{what}: names", str(path.relative_to(folder)))
            if path.is_file() and not path.is_symlink():
                self.take(f"{what}: {path.suffix or path.name}", path.read_bytes())

    def check(self) -> None:
        """Fail if anything shows a secret."""
        assert not self._found, "\n".join(self._found)
