"""Firmware from a folder on the gateway into simulated meters."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.image_calls import image_methods
from dlms_connector.commands.image_file import Image, read_image
from dlms_connector.commands.image_jobs import ImageJobs
from dlms_connector.commands.kept import Kept
from dlms_connector.errors import CommandError, LinkTimeoutError
from dlms_connector.simulator import Meter
from dlms_connector.simulator.encoding.data import boolean, i8, u32
from dlms_connector.simulator.objects.cosem_object import DENIED, AccessError
from tests.support import fake_time
from tests.support.commands import LOG, Desk, MetersInMemory, device

FIRMWARE = bytes(range(256)) * 50  # 100 blocks of 128
NAME = "acme-1.2.bin"
AWAY = LinkTimeoutError(3, 0)


async def read_now(folder: Path, name: str, identifier: str | None) -> Image:
    """Read in the loop itself: threads know nothing of a clock that jumps."""
    return read_image(folder, name, identifier)


class Bench:
    """Jobs over a simulated meter; `said` is what the platform is told."""

    def __init__(self, folder: Path, meters: MetersInMemory | None = None, **keys: Any) -> None:
        (folder / "firmware").mkdir(exist_ok=True)
        (folder / "firmware" / NAME).write_bytes(FIRMWARE)
        self.said: list[tuple[str, Any]] = []
        self.device = device(**keys)
        self.meters = meters or MetersInMemory(delay_s=0.6)

        def tell(device: Any, key: str, value: Any) -> None:
            self.said.append((key, value))

        self.jobs = ImageJobs(
            folder / "firmware",
            self.meters,
            Kept(folder, "image-transfers.json", LOG),
            LOG,
            tell_state=tell,
            tell_progress=tell,
            read=read_now,
        )
        self.desk = Desk((self.device,), meters=self.meters, more=image_methods(self.jobs))

    @property
    def meter(self) -> Meter:
        return self.desk.meter

    @property
    def states(self) -> list[Any]:
        return [value for key, value in self.said if key == "dlmsImageState"]

    @property
    def progress(self) -> list[Any]:
        return [value for key, value in self.said if key == "dlmsImageProgress"]

    async def start(self, **params: Any) -> Any:
        return await self.desk.ask("startImageTransfer", {"file": NAME, **params})

    async def until(self, *ends: str) -> None:
        await self.when(lambda: bool(self.states) and self.states[-1].startswith(ends))

    async def until_percent(self, percent: int) -> None:
        await self.when(lambda: bool(self.progress) and self.progress[-1] >= percent)

    async def when(self, condition: Callable[[], bool]) -> None:
        for _ in range(5000):
            if condition():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self.said)


Test = Callable[[Path], Coroutine[Any, Any, None]]


def told(test: Test) -> Callable[[Path], None]:
    """Run a test with a clock that jumps."""

    @wraps(test)
    def run(tmp_path: Path) -> None:
        fake_time.run(test(tmp_path))

    return run


@told
async def test_transfer_verify_activate(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = await bench.start(identifier="ACME")
    assert answer["result"]["size"] == len(FIRMWARE)
    await bench.until("transferred")
    assert bench.meter.image.octets == FIRMWARE
    assert bench.meter.image.identifier == b"ACME"
    status = await bench.desk.result("getImageTransferStatus")
    assert (status["state"], status["percent"], status["meterState"]) == (
        "transferred", 100, "initiated",
    )  # fmt: skip
    refused = await bench.desk.error("activateImage")
    assert "only a verified image is activated, and the meter's state is initiated" in refused
    verified = await bench.desk.result("verifyImage")
    assert verified["meterState"] == "verificationSuccessful"
    assert verified["imageToActivate"][0]["size"] == len(FIRMWARE)
    assert (await bench.desk.result("activateImage"))["meterState"] == "activationSuccessful"
    assert bench.states == [
        "initiating", "transferring", "transferred", "verificationSuccessful",
        "activationSuccessful",
    ]  # fmt: skip
    assert bench.progress[0] == 0
    assert bench.progress[-1] == 100
    assert bench.progress == sorted(set(bench.progress))
    assert json.loads((tmp_path / "image-transfers.json").read_text()) == {}
    assert [event.sentence.split(":")[0] for event in bench.desk.events] == [
        "call 1 startImageTransfer", "call 1 activateImage", "call 1 verifyImage",
        "call 1 activateImage",
    ]  # fmt: skip


@told
async def test_one_transfer_at_a_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    again = await bench.start()
    assert f"{NAME} is being transferred" in again["error"]
    assert f"{NAME} is being transferred" in await bench.desk.error("verifyImage")
    assert (await bench.desk.result("getImageTransferStatus"))["file"] == NAME
    await bench.until("transferred")


@told
async def test_an_outage_is_outlived(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    await bench.until_percent(10)
    bench.meters.down["M1"] = AWAY
    await bench.until("waiting")
    sent = bench.meter.seen["action"]
    await asyncio.sleep(3600)
    bench.meters.down.clear()
    bench.jobs.online("M1")
    await bench.until("transferred")
    assert bench.meter.image.octets == FIRMWARE
    assert sent < 100
    assert bench.states == [
        "initiating", "transferring", f"waiting: {AWAY}", "transferring", "transferred",
    ]  # fmt: skip


@told
async def test_a_restart_resumes_where_it_was(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    await first.start()
    await first.until_percent(10)
    cancelled = await first.desk.result("cancelImageTransfer")
    assert cancelled["state"] == "cancelled"
    assert first.states[-1] == "cancelled"
    have = len(first.meter.image.blocks)
    second = Bench(tmp_path, first.meters)
    await second.start()
    await second.until("transferred")
    assert second.progress[0] >= 10
    assert second.meter.image.octets == FIRMWARE
    assert "initiating" not in second.states
    assert 0 < have < 100


@told
async def test_another_file_begins_anew(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    await first.start()
    await first.until_percent(10)
    await first.desk.result("cancelImageTransfer")
    second = Bench(tmp_path, first.meters)
    await second.start(identifier="other")
    await second.until("transferred")
    assert second.states[0] == "initiating"
    assert second.meter.image.identifier == b"other"


@told
async def test_what_the_meter_lost_is_sent_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    await bench.until_percent(50)
    del bench.meter.image.blocks[7]
    await bench.until("transferred")
    assert bench.meter.image.octets == FIRMWARE


@told
async def test_a_meter_that_does_not_tell_what_it_misses_is_sent_everything_once(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 4, AccessError(DENIED))
    await bench.start()
    await bench.until("transferred")
    assert bench.states[-1] == "transferred"
    assert bench.meter.seen["action"] == 1 + 100
    assert (await bench.desk.result("verifyImage"))["meterState"] == "verificationSuccessful"


@told
async def test_such_a_meter_is_sent_the_rest_after_an_outage(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 4, AccessError(DENIED))
    await bench.start()
    await bench.until_percent(50)
    bench.meters.down["M1"] = AWAY
    await bench.until("waiting")
    bench.meters.down.clear()
    await bench.until("transferred")
    assert bench.meter.image.octets == FIRMWARE
    assert bench.meter.seen["action"] == 1 + 100


@told
async def test_a_meter_that_counts_below_zero_is_one_that_does_not_count(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 4, i8(-5))
    await bench.start()
    await bench.until("transferred", "failed")
    assert bench.states[-1] == "transferred"
    assert bench.meter.image.octets == FIRMWARE


@told
async def test_a_meter_that_does_not_count_is_not_sent_everything_for_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 4, u32(0))
    await bench.start()
    await bench.until("transferred")
    assert bench.states[-1] == (
        "transferred, but the meter goes on to name block 0 as missing; verifying will tell"
    )
    assert bench.meter.seen["action"] == 1 + 2 * 100
    assert (await bench.desk.result("verifyImage"))["meterState"] == "verificationSuccessful"


@told
async def test_a_meter_that_forgot_everything_begins_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    await bench.until_percent(50)
    bench.meter.image.blocks.clear()
    bench.meter.image.status = 0
    await bench.until("transferred", "failed")
    assert bench.meter.image.octets == FIRMWARE


@told
async def test_a_meter_that_takes_no_images(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 5, boolean(False))
    await bench.start()
    await bench.until("failed")
    assert "the meter does not accept images; write true to" in bench.states[-1]


@told
async def test_a_meter_that_refuses_its_blocks_is_believed_in_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.meter.put(18, "0-0:44.0.0", 2, u32(129))  # one octet more than it takes
    await bench.start()
    await bench.until("failed")
    assert "other-reason" in bench.states[-1]
    assert bench.meter.image.blocks == {}


@told
async def test_an_image_that_is_not_whole_is_not_verified(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    await bench.until("transferred")
    del bench.meter.image.blocks[99]
    error = await bench.desk.error("verifyImage")
    assert "verifying the image: " in error
    assert "the meter's state is verificationFailed" in error


@told
async def test_a_meter_that_takes_no_image_of_that_size(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (tmp_path / "firmware" / "big.bin").write_bytes(bytes(1_000_001))
    await bench.start(file="big.bin")
    await bench.until("failed")
    sentence = "failed: initiating the transfer of 1000001 octets as b'big': other-reason (250)"
    assert bench.states[-1] == sentence


@told
async def test_an_image_is_activated_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start()
    await bench.until("transferred")
    await bench.desk.result("verifyImage")
    await bench.desk.result("activateImage")
    error = await bench.desk.error("activateImage")
    assert error.endswith("the meter's state is activationSuccessful; it is active already")


@told
async def test_leave_is_needed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, allowWrite=False)
    for method in ("startImageTransfer", "cancelImageTransfer", "verifyImage", "activateImage"):
        params = {"file": NAME} if method == "startImageTransfer" else None
        assert "does not allow writing to 0-0:44.0.0" in await bench.desk.error(method, params)
    assert (await bench.desk.result("getImageTransferStatus"))["state"] == "none"
    listed = Bench(tmp_path, allowWrite=["0-0:44.0.0"])
    assert "result" in await listed.start()
    await listed.until("transferred")


@told
async def test_calls_that_make_no_sense(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert "`file` is missing" in await bench.desk.error("startImageTransfer")
    assert "no image is being transferred" in await bench.desk.error("cancelImageTransfer")
    assert "unknown parameter" in await bench.desk.error("verifyImage", {"file": NAME})
    assert "is not a file within firmware/" in (await bench.start(file="../x"))["error"]


# Files


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "is not a file within firmware/"),
        ("/etc/passwd", "is not a file within firmware/"),
        ("../secret", "is not a file within firmware/"),
        ("sub/../../secret", "is not a file within firmware/"),
        ("a\0b", "is not a file within firmware/"),
        ("missing", "cannot be read: No such file or directory"),
        ("link", "cannot be read: "),
        ("linked/secret", "cannot be read: "),
        ("sub", "is not a file"),
        ("pipe", "is not a file"),
        ("empty", "is empty"),
        ("sub/" * 3000, "cannot be read"),
    ],
)
def test_nothing_outside_the_folder_is_read(tmp_path: Path, name: str, sentence: str) -> None:
    folder = tmp_path / "firmware"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    with pytest.raises(CommandError, match=sentence):
        read_image(folder, name, None)


def test_a_file_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "v2.img").write_bytes(b"123")
    image = read_image(tmp_path, "acme/v2.img", None)
    assert (image.identifier, image.size, image.file) == (b"v2", 3, "acme/v2.img")
    assert "123" not in repr(image)
    assert read_image(tmp_path, "acme/v2.img", "hex:0102").identifier == b"\1\2"
    with pytest.raises(CommandError, match="is not hexadecimal"):
        read_image(tmp_path, "acme/v2.img", "hex:xyz")


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="put the image into the folder firmware/ beside"):
        read_image(tmp_path / "firmware", "x", None)


class Shelf:
    """Jobs for many meters that do not answer yet, so that no transfer ends."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder / "firmware"
        self.folder.mkdir()
        self.names = [f"M{number}" for number in range(count)]
        self.meters = MetersInMemory(held=True)
        self.reads: list[str] = []
        self.jobs = ImageJobs(
            self.folder,
            self.meters,
            Kept(None, "image-transfers.json", LOG),
            LOG,
            tell_state=lambda *said: None,
            tell_progress=lambda *said: None,
            read=self.read,
        )

    async def read(self, folder: Path, name: str, identifier: str | None) -> Image:
        self.reads.append(name)
        await asyncio.sleep(0.01)
        return read_image(folder, name, identifier)

    async def start(self, *files: str) -> list[Any]:
        """Start a transfer at each meter, the files in turn; return what came of each."""
        starts = (
            self.jobs.start(device(name), files[number % len(files)], None)
            for number, name in enumerate(self.names)
        )
        return await asyncio.gather(*starts, return_exceptions=True)

    def octets(self) -> int:
        """Return how many octets all transfers hold together."""
        images = [found.image for name in self.names if (found := self.jobs.last(name))]
        return sum({id(image.octets): len(image.octets) for image in images}.values())


@told
async def test_an_image_for_many_meters_is_in_memory_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 100)
    (shelf.folder / "one.bin").write_bytes(FIRMWARE)
    (shelf.folder / "copy.bin").write_bytes(FIRMWARE)
    started = await shelf.start("one.bin", "copy.bin")
    assert all(one["state"] == "started" for one in started)
    assert shelf.octets() == len(FIRMWARE)


@told
async def test_different_images_together_stay_within_bounds(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 20)
    for number in range(20):
        (shelf.folder / f"{number}.bin").write_bytes(bytes([number]) * 8_000_000)
    outcomes = await shelf.start(*(f"{number}.bin" for number in range(20)))
    refused = [one for one in outcomes if isinstance(one, CommandError)]
    assert shelf.octets() <= 64 * 1024 * 1024
    assert len(refused) == 12
    assert "leave no room for it; try again when a transfer has ended" in str(refused[0])
    shelf.jobs.cancel("M0")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    again = await shelf.jobs.start(device("M19"), "19.bin", None)
    assert again["state"] == "started"  # type: ignore[call-overload, index]
    assert shelf.octets() <= 64 * 1024 * 1024


@told
async def test_so_many_transfers_and_no_more_run_at_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 130)
    (shelf.folder / "one.bin").write_bytes(FIRMWARE)
    outcomes = await shelf.start("one.bin")
    refused = [one for one in outcomes if isinstance(one, CommandError)]
    assert len(refused) == 30
    assert "100 images are being transferred already" in str(refused[0])


@told
async def test_a_second_start_while_the_image_is_read_is_refused(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1)
    (shelf.folder / "one.bin").write_bytes(FIRMWARE)
    both = [shelf.jobs.start(device("M0"), "one.bin", None) for _ in range(2)]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert first["state"] == "started"  # type: ignore[call-overload, index]
    assert "is being read" in str(second)


async def test_a_file_that_is_known_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "one.bin").write_bytes(FIRMWARE)
    first = read_image(tmp_path, "one.bin", None)
    again = read_image(tmp_path, "one.bin", "OTHER", (first,))
    assert again.octets is first.octets
    assert (again.identifier, again.digest) == (b"OTHER", first.digest)
    (tmp_path / "one.bin").write_bytes(FIRMWARE[::-1])
    changed = read_image(tmp_path, "one.bin", None, (first,))
    assert changed.octets == FIRMWARE[::-1]
    assert changed.digest != first.digest


@told
async def test_a_transfer_goes_on_while_its_device_is_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    name = bench.device.device_name
    await bench.start()
    await bench.until_percent(20)
    changed = bench.device.model_copy(update={"device_type": "another"})
    bench.jobs.serve({name: changed})
    await bench.until_percent(40)
    bench.jobs.serve({})
    await asyncio.sleep(1)
    assert bench.jobs.last(name) is None
    assert bench.jobs._shelf._held == {}, "its octets are given back"
    said = len(bench.said)
    await asyncio.sleep(60)
    assert len(bench.said) == said
    # When it comes again it can be resumed.
    bench.jobs.serve({name: bench.device})
    await bench.start()
    await bench.until("transferred")
    assert bench.progress[-5:] != bench.progress[:5]
    assert bench.meter.image.octets == FIRMWARE
