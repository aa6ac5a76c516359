"""Keeps firmware images in memory, within bounds however many calls come at once.

An image is held while it is transferred, once for all meters that get it. Files are read one
after the other, in a thread: a slow disk must not delay any meter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dlms_connector.commands.image_file import Image, read_image
from dlms_connector.errors import CommandError

#: Octets of all images together. One more file of 32 MiB may be in memory while it is read.
MOST_OCTETS = 64 * 1024 * 1024
#: Transfers that run at the same time.
MOST_HOLDERS = 100

#: Reads an image: folder, name, identifier.
Read = Callable[[Path, str, "str | None"], Awaitable[Image]]


class ImageShelf:
    """The images in use, each with the meters that are sent it. Runs in the meters' loop."""

    def __init__(self, folder: Path, read: Read | None = None) -> None:
        self._folder, self._read = folder, read or self._read_aside
        self._held: dict[str, Image] = {}
        self._turn = asyncio.Lock()
        self._threads: ThreadPoolExecutor | None = None

    async def take(self, holder: str, name: str, identifier: str | None) -> Image:
        """Read an image and hold it for a meter until `give_back`. Raises CommandError."""
        self._require_place(holder)
        async with self._turn:  # one after the other: what was read is held before the next
            image = await self._read(self._folder, name, identifier)
            self._require_place(holder)
            image = self._same(image) or image
            self._require_room(holder, image)
            self._held[holder] = image
        return image

    def give_back(self, holder: str) -> None:
        """End the use of an image by a meter."""
        self._held.pop(holder, None)

    def _require_place(self, holder: str) -> None:
        if len(self._others(holder)) >= MOST_HOLDERS:
            raise CommandError(
                f"{MOST_HOLDERS} images are being transferred already; try again when one is done"
            )

    def _require_room(self, holder: str, image: Image) -> None:
        octets = {id(one.octets): one.size for one in (*self._others(holder), image)}
        if sum(octets.values()) > MOST_OCTETS:
            raise CommandError(
                f"{image.file} has {image.size} bytes, and other images that are being "
                "transferred leave no room for it; try again when a transfer has ended"
            )

    def _others(self, holder: str) -> list[Image]:
        return [image for name, image in self._held.items() if name != holder]

    def _same(self, image: Image) -> Image | None:
        """Return the image with the octets of one that is held already, if there is one."""
        for one in self._held.values():
            if one.octets is image.octets or one.digest == image.digest:
                return image.of(one)
        return None

    async def _read_aside(self, folder: Path, name: str, identifier: str | None) -> Image:
        if self._threads is None:  # one thread: a read whose call is given up goes on
            self._threads = ThreadPoolExecutor(1, "dlms-firmware")
        known = tuple({one.mark: one for one in self._held.values()}.values())
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, read_image, folder, name, identifier, known
        )
