"""The associations of a survey: which are tried with a client, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dlms_connector.config import Connection, Device
from dlms_connector.discovery.candidates import Candidate, Referencing, preset_dlms
from dlms_connector.discovery.draft import Draft, Request, presents_secret, section_of
from dlms_connector.discovery.gathering import Progress
from dlms_connector.discovery.opening import Opening, Shown
from dlms_connector.discovery.probes import minds_referencing, names_other_names
from dlms_connector.discovery.refusals import ADVICE_COUNTER_FROM_ONE, Failure, Refusal
from dlms_connector.discovery.search import MakeLink, Trying
from dlms_connector.discovery.trials import (
    COUNTER_FROM_ONE,
    Trial,
    changes,
    gets_further,
    is_about_ciphering,
    trial_of_frames,
    trials,
)
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkError,
    RefusedError,
)


class Associations:
    """Opens associations over one connection; remembers what was refused and what failed."""

    def __init__(
        self, request: Request, draft: Draft, make_link: MakeLink, trying: Trying,
        reading: Progress | None,
    ) -> None:  # fmt: skip
        self.refusals: list[Refusal] = []
        self.failures: list[Failure] = []
        self.notes: list[str] = []
        #: The clients whose association was opened.
        self.let_in: list[int] = []
        self._request, self._draft = request, draft
        self._make_link, self._trying, self._reading = make_link, trying, reading
        self._connection: Connection | None = None
        self._probes = 0
        self._referencing: Referencing | None = None  #: the one that the meter uses
        #: The workarounds about frames that the meter needs, and those that were tried.
        self._needs: dict[str, Any] = {}
        self._tried: set[str] = set()
        #: Whether both referencings were met by silence.
        self._deaf = False

    def use(self, connection: Connection, probes: int) -> None:
        """Use the connection that the search found after so many probes."""
        self._connection, self._probes = connection, probes

    async def show(
        self, candidate: Candidate, credentials: Mapping[str, Any], worth: int = 0
    ) -> Shown | None:
        """Open an association and read its objects; if that fails, note why and return None.

        Where the meter rejects our frames by either referencing, others are tried, each once.
        """
        candidate = candidate.needing(self._needs)
        notes, failures = len(self.notes), len(self.failures)
        result = await self._by_names(candidate, credentials, worth)
        while row := self._row_of_frames(candidate, credentials, result):
            self._tried.add(row.key)
            other = candidate.needing({row.key: row.value})
            after = await self._by_names(other, credentials, worth)
            if isinstance(after, DlmsError) and not gets_further(after):
                continue
            del self.notes[notes:], self.failures[failures:]
            self._needs[row.key] = row.value
            self.notes.append(f"the meter needs workarounds.{row.key}: it is in the entry")
            candidate, result = other, after
        return None if isinstance(result, DlmsError) else result

    def _row_of_frames(
        self, candidate: Candidate, credentials: Mapping[str, Any],
        result: Shown | DlmsError | None,
    ) -> Trial | None:  # fmt: skip
        if not isinstance(result, DlmsError):
            return None
        dlms = self._draft.device({**section_of(candidate), **credentials}, self._connection).dlms
        return trial_of_frames(dlms, result, self._draft.workarounds, self._tried)

    async def _by_names(
        self, candidate: Candidate, credentials: Mapping[str, Any], worth: int
    ) -> Shown | DlmsError | None:
        """Try one referencing, and the other if that may help; return the last failure."""
        result: Shown | DlmsError | None = None
        for referencing in self._referencings(candidate, credentials):
            dlms = {**section_of(replace(candidate, referencing=referencing)), **credentials}
            result = await self._attempt(candidate, dlms, {}, worth)
            if credentials:
                result = await self._proved(candidate, dlms, result)
            if not isinstance(result, DlmsError):
                return result
            self._note_failure(candidate, dlms, result)
            secret = presents_secret(self._draft.device(dlms, self._connection).dlms)
            if secret or not self._tries_other(result):
                return result
        return result

    async def _proved(
        self, candidate: Candidate, dlms: Mapping[str, Any], result: Shown | DlmsError | None
    ) -> Shown | DlmsError | None:
        """Return the result; where the meter ciphers, that with the workarounds it needs."""
        if isinstance(result, DlmsError):
            return await self._with_workarounds(candidate, dlms, result)
        device = self._device(candidate, dlms, {})
        if result is None or device.dlms.security == "NONE":
            return result
        error = await Opening(self._request, device, self._make_link, None).again()
        if error is None:
            return result
        other = await self._with_workarounds(candidate, dlms, error)
        if isinstance(other, Shown):
            return other
        self.notes.append(f"the association opened once, and then not again: {error}")
        if not self._request.try_counter_from_one:
            self.notes.append(ADVICE_COUNTER_FROM_ONE)
        return result

    async def _with_workarounds(
        self, candidate: Candidate, dlms: Mapping[str, Any], error: DlmsError
    ) -> Shown | DlmsError | None:
        """Try the association with the workarounds that suit this failure, each once."""
        device = self._draft.device(dlms, self._connection)
        kept: dict[str, Any] = {}
        done: dict[str, Any] = {}
        risky = () if self._request.try_counter_from_one else (COUNTER_FROM_ONE,)
        given = {*self._draft.workarounds, *risky}
        while row := next(trials(device.dlms, error, given, done), None):
            done[row.key] = row.value
            try:
                result = await self._attempt(candidate, dlms, {**kept, row.key: row.value})
            except ConfigError:
                continue  # it does not go with the other keys
            if not isinstance(result, DlmsError):
                self.notes.append(f"the meter needs workarounds.{row.key}: it is in the entry")
                return result
            if changes(error, result):
                kept, error = {**kept, row.key: row.value}, result
        if is_about_ciphering(device.dlms, error):
            self.failures.append(
                Failure.of(candidate.client, device.dlms, error, tuple(done), untried=risky)
            )
        return error

    async def _attempt(
        self,
        candidate: Candidate,
        dlms: Mapping[str, Any],
        workarounds: Mapping[str, Any],
        worth: int = 0,
    ) -> Shown | DlmsError | None:
        """Open an association and read; None if it shows no more than `worth`, or the error."""
        workarounds = {**dict(candidate.needs), **workarounds}
        device = self._device(candidate, dlms, workarounds)
        proof = device.dlms.authentication
        more = "".join(f", {key}" for key in workarounds)
        count = self._probes
        words = f"association: {candidate}, {device.dlms.referencing}, {proof}{more}"
        self._trying(words, count, count)
        opening = Opening(self._request, device, self._make_link, self._reading)
        try:
            found = await opening.gather(worth)
        except ConfigError:
            raise
        except DlmsError as error:
            if opening.let_in:
                self._know(device)
            return error
        self._know(device)
        if found is None:
            return None
        description, size = found
        return Shown(description=description, size=size, dlms=dlms, workarounds=workarounds)

    def _device(
        self, candidate: Candidate, dlms: Mapping[str, Any], workarounds: Mapping[str, Any]
    ) -> Device:
        """Return the device for an association, with the workarounds that its address needs."""
        needed = {**dict(candidate.needs), **workarounds}
        return self._draft.device(dlms, self._connection, needed)

    def _know(self, device: Device) -> None:
        """Note that the meter opened the association of this device."""
        self._referencing = device.dlms.referencing
        self.let_in.append(device.dlms.client_address)

    def _referencings(
        self, candidate: Candidate, credentials: Mapping[str, Any]
    ) -> tuple[Referencing, ...]:
        """Return the referencings to try: the given one, or the found or preset one first."""
        if given := credentials.get("referencing"):
            return (given,)
        usual = preset_dlms(self._request.wanted.preset).get("referencing", candidate.referencing)
        first = self._referencing or usual
        return (first, "SN" if first == "LN" else "LN")

    def _tries_other(self, error: DlmsError) -> bool:
        """Whether the other referencing may help; where nothing is said, it is tried once."""
        if minds_referencing(error):
            return True
        silent = isinstance(error, LinkError) and not isinstance(error, ConnectError)
        if not silent or self.let_in or self._deaf:
            return False
        self._deaf = True
        return True

    def _note_failure(
        self, candidate: Candidate, dlms: Mapping[str, Any], error: DlmsError
    ) -> None:
        device = self._draft.device(dlms, self._connection).dlms
        if not isinstance(error, RefusedError):
            names = " by short names" if device.referencing == "SN" else ""
            hint = f"; {error.hint}" if names_other_names(error) else ""
            note = f"{replace(candidate, referencing='LN')}{names}: {error}{hint}"
            if note not in self.notes:
                self.notes.append(note)
            return
        if not minds_referencing(error):
            self._referencing = device.referencing  # the meter understood it, though it refused
        self.refusals.append(
            Refusal(
                device.client_address, device.authentication, error.diagnostic, error.hint,
                device.referencing,
            )
        )  # fmt: skip
