"""Whatever fails in between: nothing is confirmed that is not stored, and in the end all is stored.

The invariant is looked at after every fault, against the platform's own table.
"""

from __future__ import annotations

import random

import pytest

from tests.support.delivered import NOW_S, Delivery, polled, row

DEVICES = ("M1", "M2", "M3")


class Trial:
    """A delivery under random faults; knows what every number stood for."""

    def __init__(self, seed: int, chain: set[str] | None) -> None:
        self.chance = random.Random(seed)
        self.delivery = Delivery(DEVICES, period_s=10.0)
        self.delivery.platform.chain = chain
        self.meant: dict[int, tuple[str, str, int]] = {}
        self._minute = 0

    def fault(self) -> None:
        self.chance.choice(
            [self.read, self.read, self.poll, self.cut, self.away, self.back, self.kill,
             self.full_disk, self.wait, self.wait, self.delete_nothing]
        )()  # fmt: skip
        self.look()

    def read(self) -> None:
        """A slice of a profile is read, perhaps one of long ago."""
        self._minute += 100
        device = self.chance.choice(DEVICES)
        count = self.chance.randrange(1, 80)
        self.delivery.keep(row(device, self._minute + n) for n in range(count))

    def poll(self) -> None:
        stamp = int((NOW_S + self.delivery.platform.now) * 1000)
        self.delivery.courier.journal([polled(self.chance.choice(DEVICES), stamp)])

    def cut(self) -> None:
        self.delivery.platform.cut()

    def away(self) -> None:
        self.delivery.platform.cut()
        self.delivery.platform.online = False

    def back(self) -> None:
        self.delivery.platform.online = True

    def kill(self) -> None:
        """The process is killed: what was not written is gone, and the gateway's memory."""
        self.delivery.platform.cut()
        self.delivery.restart()

    def full_disk(self) -> None:
        self.delivery.outbox.fails = True
        self.delivery.run(self.chance.uniform(0, 5))
        self.delivery.outbox.fails = False

    def delete_nothing(self) -> None:
        """The gateway says that a device was deleted, though its data is still there."""
        self.delivery.courier.deleted(self.chance.choice(DEVICES))

    def wait(self) -> None:
        self.delivery.run(self.chance.uniform(0.01, 30.0))

    def look(self) -> None:
        for number, entry in self.delivery.outbox.entries.items():
            (key,) = entry.values
            self.meant[number] = (entry.source.device, key, entry.ts_ms)
        stored = self.delivery.platform.stored
        proved = self.delivery.outbox.proved
        assert not [n for n in proved if n in self.meant and self.meant[n] not in stored]


@pytest.mark.parametrize("chain", [{"Meter"}, None], ids=["receipts", "watermarks"])
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_and_nothing_is_confirmed_in_vain(
    seed: int, chain: set[str] | None
) -> None:
    trial = Trial(seed, chain)
    for _ in range(120):
        trial.fault()
    trial.back()
    trial.delivery.run(1200)
    trial.look()
    assert not trial.delivery.outbox.entries
    assert not trial.delivery.outbox.unproved
    assert not trial.delivery.outbox.set_aside
    assert len(trial.meant) > 100
    assert not set(trial.meant.values()) - set(trial.delivery.platform.stored)
