"""What must hold at every moment. Each rule has a name, which a violation tells."""

from __future__ import annotations

import asyncio
import gc
import os
import re
from bisect import bisect_right
from collections import deque
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Any

from dlms_connector.obis import Obis
from dlms_connector.simulator.objects.histories import QUARTER
from dlms_connector.simulator.objects.measurements import (
    energy,
    feed_in_energy,
    reactive_energy,
)
from tests.simulation.calls import PATIENCE_S
from tests.simulation.line import Held, Place, SimulatedMeter
from tests.simulation.scenario import DAY_S, HOUR_S, ITEMS, LIMITER, RELAY
from tests.simulation.substitutes import EPOCH_S, VirtualLoop, World

if TYPE_CHECKING:
    from tests.simulation.world import Simulated

#: How long before it is told a value may have been read: a poll with all its repeats.
_READ_WITHIN_S = 90.0
#: The longest wait before a silent meter is tried again, and a poll behind it.
_RECOVERY_S = 700.0
_SLACK_S = 60.0
#: Connections to a dead meter in an hour: one in five minutes, and more after a restart.
_MOST_TRIES = 40
#: When the newest rows must be there at the latest, at the end of a run, behind a look for them.
_LATE_S = 3 * QUARTER
#: How the key of a number ends that has no scaler: the meter told none.
_RAW = "_raw"
#: Pushes of a meter that are remembered.
_PUSHES = 100
#: How long it takes at most until a deleted device is noted on the disk.
_NOTED_WITHIN_S = 15.0
#: The keys of a row, and what the meter enters in it; None where all rows have the same.
_ROWS: dict[str, Any] = {
    "load_active_energy": energy,
    "load_active_energy_export": feed_in_energy,
    "load_reactive_energy": reactive_energy,
    "load_status": None,
    "load_quality": None,
}
#: How a line ends that tells the end of an outage of a profile, and what is told of a clock.
_GOES_ON = ("is read again", "what is read is kept again")
_CLOCK, _RIGHT_AGAIN = "its clock is ", "its clock is right again"
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)?( (s|min|h|ms))?")


class Violation(AssertionError):  # noqa: N818 - it is no error of ours
    """A rule was broken; `rule` is its name."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule


class Sealed:
    """The pairs of key and nonce that something was ciphered with: runs of numbers that follow."""

    def __init__(self) -> None:
        self._runs: dict[tuple[bytes, bytes], tuple[list[int], list[int]]] = {}
        self.count = 0

    def note(self, key: bytes, nonce: bytes) -> bool:
        """Note a pair; false if it was there before."""
        starts, ends = self._runs.setdefault((key, nonce[:8]), ([], []))
        number = int.from_bytes(nonce[8:], "big")
        self.count += 1
        at = bisect_right(starts, number) - 1
        if at >= 0 and number <= ends[at]:
            return False
        if at >= 0 and number == ends[at] + 1:
            ends[at] = number
        else:
            starts.insert(at + 1, number)
            ends.insert(at + 1, number)
        return True


class Judge:
    """Watches what happens, and looks around from time to time."""

    def __init__(self, world: Simulated) -> None:
        self._world = world
        self._hub = world.hub
        self.sealed = Sealed()
        World.sealed = self._sealed
        self.values = self.rows = 0
        #: Until when a place is disturbed, by name.
        self._disturbed: dict[str, float] = {}
        self._disk_until = 0.0
        #: When a meter was replaced; when a process died that knew alone of a deleted device.
        self._replaced: dict[str, float] = {}
        self._forgotten: dict[str, float] = {}
        #: Until when a deleted device may not be noted on the disk.
        self._unnoted: dict[str, float] = {}
        self._told: dict[str, set[str]] = {}
        #: When meters pushed.
        self._pushed: dict[str, deque[int]] = {}
        self._files: int | None = None
        self._objects: list[int] = []
        journal = world.journal
        journal.watch("stored", self._stored)
        journal.watch("written", self._written)
        journal.watch("done", self._done)
        journal.watch("reply", self._replied)
        journal.watch("log", self._logged)
        journal.watch("exception", self._failed)
        journal.watch("told", self._deleted)
        journal.watch("start", lambda number: self._told.clear())
        self._hub.call_later(world.plan.period_s, self._look)
        self._hub.call_later(HOUR_S, self._count)

    def _broken(self, rule: str, detail: str) -> Violation:
        """Return the violation of a rule; it ends the run, whoever may catch it."""
        violation = Violation(rule, detail)
        if self._hub.failure is None:
            self._hub.failure = violation
        return violation

    # What disturbs

    def disturbed(self, place: Place, lasts_s: float) -> None:
        """Note that a place is disturbed."""
        until = self._hub.now + lasts_s
        self._disturbed[place.name] = max(until, self._disturbed.get(place.name, 0.0))
        for meter in place.meters:  # each outage may be told
            self._told.pop(meter.name, None)

    def disk_trouble(self, lasts_s: float) -> None:
        """Note that the disk does not work."""
        self._disk_until = max(self._disk_until, self._hub.now + lasts_s)
        self._told.clear()

    def replaced(self, name: str) -> None:
        """Note that another meter is there now."""
        self._replaced[name] = self._hub.now

    def _deleted(self, name: str) -> None:
        self._unnoted[name] = inf if self._world.disk.full else self._hub.now + _NOTED_WITHIN_S

    def room(self) -> None:
        """Note that the disk takes again what is written."""
        until = self._hub.now + _NOTED_WITHIN_S
        self._unnoted = {name: min(until, at) for name, at in self._unnoted.items()}

    def died(self) -> None:
        """Note that the process died, and with it what was on no disk yet."""
        for name, until in self._unnoted.items():
            if self._hub.now < until:
                self._forgotten[name] = self._hub.now
        self._unnoted.clear()

    def pushed(self, name: str, ts_ms: int) -> None:
        """Note that a meter has pushed."""
        self._pushed.setdefault(name, deque(maxlen=_PUSHES)).append(ts_ms)

    # Values

    def _stored(self, device: str, ts_ms: int, key: str, value: Any, before: Any) -> None:
        if key.startswith("dlms"):
            return  # the connector's own, which may be told again as they are later
        if before is not None and str(before) != str(value):
            raise self._broken(
                "a row has one value", f"{device} {key} at {ts_ms}: {before}, and then {value}"
            )
        if key in ITEMS:
            self.values += 1
            self._check_value(device, ts_ms, key, value)
        else:
            self.rows += 1
            self._check_row(device, ts_ms, key, value)

    def _check_value(self, device: str, ts_ms: int, key: str, value: Any) -> None:
        meter = self._meter(device)
        told = _number(value)
        name = Obis.parse(ITEMS[key]).octets
        for held in reversed(meter.given.get(name, ())):
            read_at = EPOCH_S + held.at + held.wall_off_s
            if -1 <= ts_ms / 1000 - read_at <= _READ_WITHIN_S and told == _scaled(held):
                return
        near = [
            str(_scaled(held))
            for held in meter.given.get(name, ())
            if abs(EPOCH_S + held.at + held.wall_off_s - ts_ms / 1000) < 2 * _READ_WITHIN_S
        ]
        raise self._broken(
            "no value that the meter did not hold",
            f"{device} {key} at {ts_ms}: {value}; it gave {near}",
        )

    def _check_row(self, device: str, ts_ms: int, key: str, value: Any) -> None:
        key = key.removesuffix(_RAW)
        if key not in _ROWS:
            raise self._broken("no key that is not configured", f"{device} {key}")
        if (measure := _ROWS[key]) is None:
            return
        for meter in self._world.at_site[device]:
            if ts_ms % (QUARTER * 1000) == 0 and _number(value) == int(
                measure(meter, ts_ms / 1000)
            ):
                return
        raise self._broken(
            "no row that the meter did not hold", f"{device} {key} at {ts_ms}: {value}"
        )

    def _meter(self, device: str) -> SimulatedMeter:
        return self._world.at_site[device][0]

    # Changes

    def _written(self, device: str, obis: Obis, attribute: int, value: Any) -> None:
        caller = self._world.caller
        if str(obis) == LIMITER and attribute == 5:
            wanted = caller.wanted.get(device, {})
            if value not in wanted:
                raise self._broken("nothing is written unasked", f"{device} {obis} {value}")
            wanted[value] += 1
            if wanted[value] > 1:
                raise self._broken("nothing is written twice", f"{device} shared {value}")
            return
        call = caller.writing.get(value)
        if call is None or call.site.name != device or str(obis) != LIMITER:
            raise self._broken("nothing is written unasked", f"{device} {obis} {attribute} {value}")
        self._carried_out(call)

    def _done(self, device: str, obis: Obis, method: int) -> None:
        if str(obis) != RELAY:
            return  # the proof of high level security
        call = self._world.caller.switching.get(device)
        if call is None or call.method != {1: "disconnectRelay", 2: "reconnectRelay"}[method]:
            raise self._broken("nothing is switched unasked", f"{device} {obis} {method}")
        self._carried_out(call)

    def _carried_out(self, call: Any) -> None:
        if not call.site.allows:
            raise self._broken("nothing without permission", f"{call}")
        call.done += 1
        if call.done > 1:
            raise self._broken("nothing is done twice", f"{call}")
        if self._hub.now > call.at + PATIENCE_S + 15:
            raise self._broken("nothing is done for a caller who has gone", f"{call}")

    def _replied(self, device: str, number: int, content: Any) -> None:
        call = self._world.caller.calls.get(number)
        if call is None:
            return
        call.replies += 1
        if call.kind != "read" and call.site.allows and "result" in content and not call.done:
            raise self._broken("no success without the deed", f"{call} {content}")

    # Keys

    def _sealed(self, key: bytes, nonce: bytes) -> None:
        if not self.sealed.note(key, nonce):
            raise self._broken("no counter twice with one key", f"{nonce.hex()}")

    # The log

    def _logged(self, level: str, text: str) -> None:
        name, _, rest = text.partition(": ")
        told = self._told.setdefault(name, set())
        if "answering again" in rest:
            told.clear()
        elif rest.endswith(_GOES_ON):
            profile = rest.partition(" is ")[0].removesuffix(": what")
            told -= {kind for kind in told if kind.startswith(_NUMBERS.sub("#", profile))}
        elif rest == _RIGHT_AGAIN:
            told -= {kind for kind in told if kind.startswith(_CLOCK)}
        elif level in ("WARNING", "ERROR") and name in self._world.at_site:
            # Each time that a clock jumps is told, with how far it is off now.
            kind = rest if rest.startswith(_CLOCK) else _NUMBERS.sub("#", rest)
            if kind in told:
                raise self._broken("an outage is told once", text)
            told.add(kind)

    def _failed(self, level: str, text: str, error: BaseException) -> None:
        import traceback

        lines = "".join(traceback.format_exception(error))
        raise self._broken("no fault of the connector", f"{text}\n{lines}")

    # From time to time

    def _look(self) -> None:
        """See that living meters are polled, and that dead ones are not hammered."""
        world, now = self._world, self._hub.now
        period_s = world.plan.period_s
        if world.up_since is not None:
            for place in world.places:
                since = max(world.up_since, self._disturbed.get(place.name, 0.0), self._disk_until)
                if now - since < _RECOVERY_S + period_s or not place.is_whole:
                    continue
                for meter in place.meters:
                    if not meter.faults.any and now - meter.last_given > period_s + _SLACK_S:
                        raise self._broken(
                            "living meters keep their period",
                            f"{meter.name} was read {now - meter.last_given:.0f} s ago, "
                            f"undisturbed for {now - since:.0f} s",
                        )
        for place in world.places:
            if place.dead_since is None or now - place.dead_since < HOUR_S:
                continue
            recent = sum(at > now - HOUR_S for at in place.tries)
            if recent > _MOST_TRIES * len(place.meters):
                raise self._broken(
                    "dead meters are not hammered", f"{place.name}: {recent} in an hour"
                )
        self._hub.call_later(period_s, self._look)

    def _count(self) -> None:
        """See that nothing grows."""
        world = self._world
        process = world.process
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        if process is not None:
            if len(process.threads) > 60:
                raise self._broken("threads are bounded", f"{len(process.threads)}")
            tasks = sum(len(asyncio.all_tasks(loop)) for loop in VirtualLoop.living.values())
            if tasks > 12 + 4 * len(world.places):
                raise self._broken("tasks are bounded", f"{tasks}")
        if self._files is None:
            self._files = files
        if files > self._files + 16:
            raise self._broken("files are bounded", f"{self._files}, now {files}")
        if world.plan.days > 7 and self._hub.now % (7 * DAY_S) < HOUR_S:
            gc.collect()
            self._objects.append(len(gc.get_objects()))
            # Caches of the process fill for months, as each start has objects of its own: what
            # goes on growing has more than half as much again as in the middle of the time.
            count = len(self._objects)
            if count > 4 and self._objects[-1] > 1.5 * self._objects[max(2, count // 2)]:
                raise self._broken("memory is bounded", f"{self._objects}")
        self._hub.call_later(HOUR_S, self._count)

    # At the end

    def finish(self) -> None:
        """See that every row that a meter holds is on the platform."""
        now_s = EPOCH_S + self._hub.now
        late_s = _LATE_S + max(HOUR_S, self._world.plan.period_s)
        for meter in self._world.meters:
            first = EPOCH_S - DAY_S + QUARTER
            if (replaced := self._replaced.get(meter.name)) is not None:
                first = EPOCH_S + replaced + QUARTER
            first = max(first, EPOCH_S + self._forgotten.get(meter.name, -DAY_S))
            there = self._world.platform.device(meter.name)
            missing = [
                int(at)
                for at in meter.rows_held()
                if first <= at <= now_s - late_s and not _has_row(there, int(at) * 1000)
            ]
            if missing:
                first_s = (missing[0] - EPOCH_S) / HOUR_S
                raise self._broken(
                    "every row reaches the platform",
                    f"{meter.name}: {len(missing)} are missing, the first of {first_s:.2f} h",
                )
            self._check_pushes(meter.name, there)
            if not there.connected:
                raise self._broken("a living meter is connected", meter.name)
            if there.attributes.get("dlmsState") != "online":
                raise self._broken(
                    "the platform knows the state", f"{meter.name}: {there.attributes}"
                )

    def _check_pushes(self, name: str, there: Any) -> None:
        """See that what was pushed in the quiet end is there."""
        quiet_s = EPOCH_S + self._hub.now - self._world.plan.quiet_s
        for ts_ms in () if name in self._replaced else self._pushed.get(name, ()):
            if quiet_s + HOUR_S < ts_ms / 1000 < EPOCH_S + self._hub.now - HOUR_S and (
                "energy" not in there.series or ts_ms not in there.series["energy"]
            ):
                raise self._broken("a push reaches the platform", f"{name}: of {ts_ms}")


def _has_row(there: Any, ts_ms: int) -> bool:
    return all(
        ts_ms in there.series.get(key, ()) or ts_ms in there.series.get(key + _RAW, ())
        for key, measure in _ROWS.items()
        if measure
    )


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _scaled(held: Held) -> Decimal:
    return Decimal(held.raw).scaleb(held.scaler)
