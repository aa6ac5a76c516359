"""What works between the gateway and the meters, as long as the gateway's role stays the same.

When the table of devices changes, each part goes on with those that there are then. One thread runs
all meters (`meters_thread`). One converts their data and passes it to the gateway, and one does the
work that waits for the platform (`uplink_queue`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from logging import Logger
from pathlib import Path
from time import monotonic
from typing import Any

from dlms_connector.config import Device
from dlms_connector.errors import ConfigError
from dlms_connector.fleet import Fleet
from dlms_connector.gateway import garbage, last_good
from dlms_connector.gateway.announcer import Announcer
from dlms_connector.gateway.asking import is_of_another, largest_attribute
from dlms_connector.gateway.call_entry import CallEntry
from dlms_connector.gateway.daily_backup import DailyBackup
from dlms_connector.gateway.delivering import Delivering
from dlms_connector.gateway.departure import depart, forget_reports
from dlms_connector.gateway.device_file import DeviceFile
from dlms_connector.gateway.downlink import Downlink
from dlms_connector.gateway.duty import Duty
from dlms_connector.gateway.free_memory import FreeMemory
from dlms_connector.gateway.handover import until_taken
from dlms_connector.gateway.known_devices import load_each_once
from dlms_connector.gateway.meters_thread import MetersThread
from dlms_connector.gateway.owner import Logs, Owner
from dlms_connector.gateway.prepared import Prepared, state_directory
from dlms_connector.gateway.remembered import file_name
from dlms_connector.gateway.renames import Renames
from dlms_connector.gateway.session import session
from dlms_connector.gateway.table import Said, Table
from dlms_connector.gateway.uplink import Uplink
from dlms_connector.gateway.uplink_queue import UplinkQueue
from dlms_connector.metrics import LATE_BOUNDS, Histogram

#: `end` is done within CLOSE_S, or what was read would be lost: on a busy host that gets time until
#: LATEST_S, and FLUSH_S at least. The gateway waits for 5 s.
CLOSE_S, LATEST_S = 0.9, 3.5
FLUSH_S = 0.1
#: Pause between two looks at the gateway's session, and before the gateway has a client: it makes
#: one soon after its connectors, and what the platform tells as soon as it is connected comes some
#: milliseconds later.
IDLE_S, STARTING_S = 0.1, 0.001
#: How much later a reading may be handed to the gateway, so that those of several meters share a
#: wake-up of the thread.
REST_S = 0.02
#: How long meters may take to be let go of where others take them: on a busy host longer than
#: usual, and less than the gateway waits if it closes the connector meanwhile.
_LET_GO_S = 3.0

#: How many announcements may wait: each meter has several, when a large fleet starts.
_LEAST_NEWS, _NEWS_PER_DEVICE = 10_000, 4
#: How long the meters' loop may take for a change of the table: it is made between two steps.
_CHANGE_S = 10.0


class Parts:
    """All that stands between the gateway and the meters of one configuration.

    `config` is the configuration as the gateway gave it. Making does no IO but reading files;
    it raises what a user's own converter raises. With `like`, the configuration is not loaded
    again: it is that of other parts, and only the role may be another.
    """

    def __init__(
        self, gateway: Any, owner: Owner, config: Any, logs: Logs, *, like: Parts | None = None
    ) -> None:
        self._gateway, self._owner, self._config = gateway, owner, config
        self._log: Logger = logs.connector
        self.table: Table = Table(gateway, owner, config, logs, like=like.table if like else None)
        folder = Path(gateway.get_config_path())
        self._session: object | None = None
        configuration, share = self.prepared.configuration, self.prepared.share
        self.duty = Duty(configuration, share, self._log, owner.role_changed)
        names = self.table.said.names
        self._renames = Renames(gateway, names, self._log)
        self._calls = CallEntry(gateway, owner, names)
        self._announcer = Announcer(
            gateway, owner, self._calls, self._renames, self._log, monotonic
        )
        is_read = load_each_once(gateway)
        self._device_file = DeviceFile(gateway, self._log, monotonic, is_read)
        self._memory = FreeMemory()
        self._announcing = UplinkQueue(
            self._log,
            idle=self._reconcile,
            limit=_most_news(names),
            idle_s=self._idle_s,
        )
        #: Polls that were dropped before their conversion.
        self.dropped = 0
        self._queue = UplinkQueue(self._log, dropped=self._note_dropped, rest_s=REST_S)
        self.lateness = Histogram(LATE_BOUNDS)
        self.delivering = Delivering(
            gateway, self._renames, self.prepared.configuration, names, self._log, owner.send
        )
        self._backup = DailyBackup(configuration.backup, folder, self._log)
        self.uplink = self._make_uplink()
        self.downlink = self._make_downlink()
        # Last: it has a loop, which is left open if what comes after it fails.
        self._meters = MetersThread(
            self._make_fleet,
            self.prepared.devices,
            self.uplink,
            self._log,
            period_s=self.prepared.configuration.diagnostics_period_ms / 1000,
            lateness=self.lateness if configuration.metrics else None,
        )

    @property
    def prepared(self) -> Prepared:
        """The devices that are served, and the others that the configuration has."""
        return self.table.said.prepared

    @property
    def fleet(self) -> Fleet | None:
        """What polls the meters; None while nothing does."""
        return self._meters.fleet

    @property
    def waiting(self) -> int:
        """How many jobs wait for the uplink."""
        return self._queue.waiting

    def states(self) -> Counter[str]:
        """Return how many meters are in each state."""
        fleet = self.fleet
        counts: Counter[str] = Counter()
        for device in self.prepared.devices:
            counts[(fleet and fleet.state(device.device_name)) or "unknown"] += 1
        counts["misconfigured"] += len(self.prepared.misconfigured)
        return counts

    def inherit(self, before: Parts) -> None:
        """Take over what is still to be done of parts that have ended; call it before `begin`."""
        if not self.duty.active:
            self._announcer.leave(before._announcer)
        elif before.duty.active:
            # After a time on standby, what was to be written is out of date.
            self.uplink.states.inherit(before.uplink.states)
            self.downlink.inherit(before.downlink)

    def begin(self) -> None:
        """Start polling, if this gateway is on duty, and return at once."""
        self._device_file.take_over()
        self._queue.start(f"{self._owner.name} uplink")
        self._announcing.start(f"{self._owner.name} announcing")
        self.duty.begin(self._owner.name)
        if not self.duty.active:
            return
        for one in self.prepared.misconfigured:
            self.uplink.misconfigured(one.name, one.device_type, one.problems)
        self._meters.start(f"{self._owner.name} meters")

    def change(self, said: Said) -> bool:
        """Serve what the configuration says now; the meters that are as before notice nothing.

        Returns false if that cannot be done: other parts are to be made then. So where more than
        the devices has changed, where no meter is polled, and after a fault, which is told.
        """
        if not self.duty.active or not said.is_alike(self.table.said):
            return False
        done: Future[bool] = Future()

        def change() -> None:
            if not done.set_running_or_notify_cancel():
                return  # it is too late
            try:
                self._serve(said)
            except Exception:
                self._log.exception("the devices could not be changed: all meters begin anew")
                done.set_result(False)
            else:
                done.set_result(True)

        if not self._meters.call(change):
            return False
        if not wait([done], _CHANGE_S).done and done.cancel():
            self._log.error("the meters' thread does not take a change: all meters begin anew")
            return False
        return done.result()

    def end(self, *, for_good: bool = True) -> None:
        """Stop polling and release the meters; return when done, in less than a second.

        On a busy host it takes up to four, until what was read is handed over and kept. Unless it
        is `for_good`, the platform is not told that the meters are not polled, and a busy host gets
        some seconds more to release them.
        """
        started = monotonic()
        self.duty.end()
        self._backup.close()
        self._announcing.close(0)  # ends in the background
        if for_good:
            self._meters.stop()
        else:  # what comes next takes the meters, here or in another gateway
            self._meters.stop(_LET_GO_S)
        self.downlink.close()
        if for_good:
            self.uplink.last_words(lambda: monotonic() - started < CLOSE_S - FLUSH_S)
        if not self._queue.close(max(FLUSH_S, LATEST_S - (monotonic() - started))):
            self._log.warning("not all that was read could be handed to the gateway in time")
        if not self.delivering.close(max(FLUSH_S, LATEST_S - (monotonic() - started))):
            self._log.warning("not all that was read could be written into the journal in time")
        if for_good:
            until_taken(self._gateway, CLOSE_S - (monotonic() - started))
        self._announcing.close(FLUSH_S / 2)
        self._announcer.close()
        if for_good:
            self._depart()
        self._device_file.give_back()
        forget_reports(self._gateway, self._owner)
        self.duty.retire()
        garbage.expect(self)
        if self._gateway.stopped:
            garbage.ending()
        took_ms = (monotonic() - started) * 1000
        self._log.info("closed within %.0f ms%s", took_ms, self._account())

    def device_deleted(self, name_there: str) -> None:
        """Note that the platform has deleted a device, by its name there."""
        for device in self.prepared.devices:
            if self._renames.name_of(device.device_name) == name_there:
                self.uplink.deleted(device.device_name)
                self.delivering.deleted(device.device_name)

    # How the parts are made

    def _make_uplink(self) -> Uplink:
        return Uplink(
            self.prepared.converters,
            self._announcer,
            self._queue,
            self._announcing,
            self._log,
            send=self._owner.send,
            count=self._owner.count,
            came_online=lambda name: self.downlink.online(name),
            numeric_texts=self.prepared.configuration.numeric_texts,
            largest_attribute=partial(largest_attribute, self._gateway),
            keeper=self.delivering,
            shared=self.duty.is_shared,
        )

    def _make_downlink(self) -> Downlink:
        return Downlink(
            self._gateway,
            self._owner.get_type(),
            self.prepared.devices,
            self.table.said.downlinks,
            run=lambda job: self._meters.call(job),
            tell_attributes=self.uplink.attributes,
            tell_telemetry=self.uplink.event,
            audit_telemetry=self.prepared.configuration.audit_telemetry,
            log=self._log,
            largest_attribute=partial(largest_attribute, self._gateway),
            connector_id=self._owner.get_id(),
            itself={"getDelivery": self.delivering.status, "getRole": self.duty.attributes},
            refusal=self.duty.refusal,
        )

    def _make_fleet(self) -> Fleet:
        """Make the fleet, in the meters' thread, and what needs the folder of the state."""
        name = self._owner.name
        folder = state_directory(
            self.prepared.configuration.state_directory,
            self._gateway.config.get("storage", {}),
            Path(self._gateway.get_config_path()),
            self._log,
            name,
        )
        folder = self.duty.take(folder)
        if folder is not None:
            last_good.keep(self._config, folder, name, self._log)
            self._renames.open(folder / f"renamed-{file_name(name)}.json")
        path = folder / f"online-{file_name(name)}.json" if folder is not None else None
        self.uplink.states.open(path, self.table.said.named, self._is_told_by_another)
        self.delivering.open(folder, name)
        self._backup.open(folder, name)
        fleet = self._owner.make_fleet(
            self.prepared.devices,
            self.uplink,
            self._log,
            state_dir=folder,
            listeners=self.prepared.configuration.push,
            adopt=self._adopt,
            records=self.delivering.records,
            groups=self.prepared.configuration.groups,
        )
        self._let_ask_again(fleet)
        self.downlink.start(fleet, folder, self.delivering.records)
        return fleet

    def _let_ask_again(self, fleet: Fleet) -> None:
        """Have meters asked again for what the platform or the disk has lost."""

        def reread(job: Callable[[], None]) -> None:
            self._meters.call(job)

        self.delivering.lacks = lambda source: reread(partial(fleet.reread, source))
        if self.delivering.records is not None:
            self.delivering.records.on_damage = lambda: reread(fleet.reread_all)

    def _serve(self, said: Said) -> None:
        """Serve what the configuration says now. In the meters' loop, all at once."""
        before, self.table.said = self.table.said, said
        now, names, difference = said.prepared, said.names, said.since(before)
        self._renames.serve(names)
        self._calls.serve(names)
        self._announcing.limit = _most_news(names)
        self.uplink.serve(now.converters, said.named, difference.changed, self._is_told_by_another)
        self.delivering.serve(now.configuration.devices, {*names, *self.uplink.adopted})
        self._meters.change(now.devices, self.delivering.records)
        if self.fleet is not None:
            self._let_ask_again(self.fleet)
        self.downlink.serve(now.devices, said.downlinks)
        for one in now.misconfigured:
            if one not in before.prepared.misconfigured:
                self.uplink.misconfigured(one.name, one.device_type, one.problems)
        self._log.info("%s", difference)

    def _adopt(self, device: Device) -> bool:
        """Take a device that was made for a meter that pushes; false if it may not be used."""
        name = device.device_name
        if name in self.prepared.converters or self.table.said.denied(name):
            return False
        if self._is_told_by_another(name):
            return False
        try:
            converter = self.table.uplink_converter(device)
        except ConfigError as error:
            self._log.error("%s cannot be made: %s", name, error)
            return False
        self.uplink.adopt(device, converter)
        self.delivering.adopt(name)
        return True

    # What the parts need

    def _account(self) -> str:
        """Say what became of all polls: counters begin anew with the next parts."""
        if (fleet := self.fleet) is None:
            return ""
        dropped = f", {self.dropped} not sent" if self.dropped else ""
        return f": {fleet.tally}{dropped}, {self.uplink.readings} values read"

    def _note_dropped(self, count: int) -> None:
        self.dropped += count
        self._owner.count("convertersMsgDropped", count)

    def _idle_s(self) -> float:
        return IDLE_S if self._gateway.tb_client is not None else STARTING_S

    def _reconcile(self) -> None:
        self._announcer.reconcile()
        now, before = session(self._gateway), self._session
        if now is not before:
            self._session = now
            if before is not None:
                self.uplink.states.doubt()
            if now is not None:
                self.uplink.states.connected()
        self.uplink.states.reconcile()
        self.delivering.reconcile()
        self.duty.tell(self._gateway)
        self._device_file.write()
        self._memory.look()
        self.table.look()

    def _is_told_by_another(self, name: str) -> bool:
        """Whether another connector, or another gateway, tells the state of a device."""
        elsewhere = name in self.prepared.elsewhere
        return elsewhere or is_of_another(self._gateway, name, self._owner.name)

    def _depart(self) -> None:
        try:
            depart(self._gateway, self._owner, self._announcer.is_connected_there)
        except Exception:  # it only takes the gateway longer
            self._log.debug("the devices could not be taken off the gateway", exc_info=True)


def _most_news(names: Sequence[str]) -> int:
    return max(_LEAST_NEWS, _NEWS_PER_DEVICE * len(names))
