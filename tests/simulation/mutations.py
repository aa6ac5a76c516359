"""Faults put into the connector on purpose: each must break the rule that is there for it.

`python -m tests.simulation.mutations` tries them all, and prints which rule caught which fault.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import substitutes

substitutes.install()

from dlms_connector.commands import object_calls  # noqa: E402
from dlms_connector.commands.ledger import Ledger  # noqa: E402
from dlms_connector.delivery.window import Window  # noqa: E402
from dlms_connector.fleet import member  # noqa: E402
from dlms_connector.fleet.availability import Availability  # noqa: E402
from dlms_connector.fleet.line import Line  # noqa: E402
from dlms_connector.fleet.schedule import Agenda  # noqa: E402
from dlms_connector.meter.meter import Meter  # noqa: E402
from dlms_connector.records import records  # noqa: E402
from dlms_connector.records.records import Records  # noqa: E402
from dlms_connector.state import private_files  # noqa: E402
from dlms_connector.state.numbers import Numbers  # noqa: E402
from dlms_connector.state.pushed import PushedCounters  # noqa: E402
from tests.simulation.judge import Violation  # noqa: E402
from tests.simulation.scenario import Fault, Plan  # noqa: E402
from tests.simulation.world import Simulated  # noqa: E402


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault of the connector: what is replaced by what, and the rule that it breaks."""

    name: str
    where: Any
    attribute: str
    by: Callable[[Any], Any]
    rule: str
    #: The faults of the world that bring it to light.
    faults: tuple[Fault, ...] = ()
    plan: Plan = Plan(1, 0.5, 2, 900.0, quiet_s=0.0, faults=0.0, calls=0.0)  # noqa: RUF009


def _drop_a_row(keep: Any) -> Any:
    return lambda self, part, entries: keep(self, part, entries[:-1])


def _count_twice(take: Any) -> Any:
    def again(self: Numbers, least: int = 0) -> int:
        number: int = take(self, least)
        if number % 7 == 0:
            self._next = number
        return number

    return again


def _tell_each(failed: Any) -> Any:
    def tell(self: Availability, error: Any, now: float, *, told: bool = False) -> None:
        self.failures = 0
        failed(self, error, now, told=told)

    return tell


def _leak(rest: Any) -> Any:
    async def leaking(self: Line) -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(1e9))
        await rest(self)

    return leaking


def _skip_polls(done: Any) -> Any:
    def late(self: Agenda, now: float, unread: Any = ()) -> None:
        done(self, now, unread)
        for group in self._groups:
            group.due += group.period

    return late


def _scale_wrongly(outcome: Any) -> Any:
    async def poll(self: Meter, *args: Any, **keys: Any) -> Any:
        result = await outcome(self, *args, **keys)
        readings = tuple(
            replace(one, value=one.value * 10) if one.key == "power" else one
            for one in result.poll.readings
        )
        return replace(result, poll=replace(result.poll, readings=readings))

    return poll


def _send_anew(keep: Any) -> Any:
    """Enter each row a second time, one Wh larger."""

    def twice(self: Records, part: Any, entries: Any) -> Any:
        kept = keep(self, part, entries)
        key = "load_active_energy"
        wrong = [
            replace(one, values={**one.values, key: int(one.values[key]) + 1}) for one in entries
        ]
        return (*kept, *self.journal(wrong[:1]))

    return twice


_DEAD = (Fault(3600.0, 30_000.0, "swallowed", 0),)
#: A platform that restarts while the past is sent to it, which takes it long to store.
_BREAKS = (Fault(0.0, 300.0, "slow platform", 0),
           *(Fault(5.0 + 7 * n, 0.0, "restarted", 0) for n in range(20)))  # fmt: skip
#: A seed whose platform sends no receipts.
_UNPROVED = Plan(2, 0.3, 2, 900.0, quiet_s=0.0, faults=0.0, calls=0.0)
_CALLS = Plan(3, 0.5, 2, 3600.0, quiet_s=0.0, faults=0.0, calls=200.0)

MUTATIONS = (
    Mutation("a value is sent ten times too large", Meter, "poll", _scale_wrongly,
             "no value that the meter did not hold"),
    Mutation("a row is sent again with another value", Records, "keep", _send_anew,
             "no row that the meter did not hold"),
    Mutation("a row is dropped", Records, "keep", _drop_a_row, "every row reaches the platform"),
    Mutation("a counter is used twice", Numbers, "take", _count_twice,
             "no counter twice with one key"),
    Mutation("a change is asked for again when no answer came", Meter, "_harmless",
             lambda harmless: lambda self, error, first, changed: True, "nothing is done twice",
             (Fault(0.0, 43_000.0, "breaking", 0), Fault(0.0, 43_000.0, "breaking", 1)), _CALLS),
    Mutation("nobody asks for permission", object_calls, "require_write",
             lambda require: lambda *args, **keys: None, "nothing without permission", (), _CALLS),
    Mutation("a dead meter is tried without a pause", member, "backoff_s",
             lambda backoff: lambda *args, **keys: 0.05, "dead meters are not hammered",
             (Fault(3600.0, 30_000.0, "refused", 0),)),
    Mutation("every other poll is left out", Agenda, "done", _skip_polls,
             "living meters keep their period"),
    Mutation("each failed poll is told", Availability, "failed", _tell_each,
             "an outage is told once", _DEAD),
    Mutation("a task is left behind", Line, "_rest", _leak, "tasks are bounded"),
    Mutation("scalers are kept over an exchange", Meter, "doubt_scalers",
             lambda doubt: lambda self: None, "no value that the meter did not hold",
             (Fault(3500.0, 500.0, "finer", 1), Fault(3500.0, 500.0, "finer", 0))),
    Mutation("a call that is delivered twice is carried out twice", Ledger, "_same",
             lambda same: lambda self, before, call: False, "nothing is done twice", (), _CALLS),
    Mutation("what was lost with a connection is not sent again", Window, "lost",
             lambda lost: lambda self, *args, **keys: None, "every row reaches the platform",
             _BREAKS, _UNPROVED),
    Mutation("a push is taken for one of before", PushedCounters, "highest",
             lambda highest: lambda self, sender: 1 << 32, "a push reaches the platform",
             (), replace(_UNPROVED, quiet_s=20_000.0)),
    Mutation("names of files are not synced", private_files, "sync_names",
             lambda sync: lambda folder: None, "no counter twice with one key",
             (Fault(400.0, 5.0, "power cut", 0, 1),),
             replace(_UNPROVED, seed=6, days=0.1)),  # one of its meters shows no counter
    Mutation("the records are not synced", records, "_SYNC_S", lambda seconds: 1e9,
             "every row reaches the platform",
             (Fault(18_000.0, 5.0, "power cut", 0, 1),
              Fault(30_000.0, 0.0, "deleted", 0), Fault(30_000.0, 0.0, "deleted", 1)),
             replace(_UNPROVED, days=0.5, period_s=1800.0)),
)  # fmt: skip


@contextmanager
def broken(mutation: Mutation) -> Iterator[None]:
    """Put a fault into the connector."""
    before = getattr(mutation.where, mutation.attribute)
    setattr(mutation.where, mutation.attribute, mutation.by(before))
    try:
        yield
    finally:
        setattr(mutation.where, mutation.attribute, before)


def caught_by(mutation: Mutation) -> str:
    """Return the rule that a fault broke; "nothing" if none."""
    with broken(mutation):
        world = Simulated(mutation.plan, mutation.faults)
        try:
            world.run()
        except Violation as violation:
            return violation.rule
    return "nothing"


def main() -> int:
    """Try all faults; 1 if one was not caught by its rule."""
    missed = 0
    for mutation in MUTATIONS:
        if sys.argv[1:] and sys.argv[1] not in mutation.name:
            continue
        rule = caught_by(mutation)
        missed += rule != mutation.rule
        print(f"{mutation.name}: {rule}" + ("" if rule == mutation.rule else " (MISSED)"))
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
