"""The whole discovery: find a meter, open an association, read its objects, make the entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dlms_connector.config import Connection, Device, Dlms, SerialConnection
from dlms_connector.discovery.advice import Refusal, advise, further, others
from dlms_connector.discovery.association import in_association
from dlms_connector.discovery.candidates import (
    PUBLIC_CLIENT,
    Candidate,
    clients_first,
    preset_dlms,
)
from dlms_connector.discovery.description import Description, Progress, describe
from dlms_connector.discovery.draft import Draft, Request, device_of, section_of
from dlms_connector.discovery.entry import device_name, items_of
from dlms_connector.discovery.preset_fit import fitting
from dlms_connector.discovery.probes import NOT_RECOGNIZED, WRONG_CONTEXT, Attempt
from dlms_connector.discovery.search import MakeLink, Search, Trying
from dlms_connector.errors import DlmsError, RefusedError
from dlms_connector.interpret import options_of
from dlms_connector.link import make_link as make_real_link
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk

#: Most associations to try without authentication: the meter may log each attempt.
_MOST_OPEN_DOORS = 4


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """The result of a discovery; `entry` is None if no association could be opened."""

    endpoint: str
    attempts: tuple[Attempt, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    dlms: Mapping[str, Any] | None = None
    description: Description | None = None
    entry: Mapping[str, Any] | None = None
    presets: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[Attempt, ...]:
        """The probes that a DLMS server answered."""
        return tuple(attempt for attempt in self.attempts if attempt.answered)


async def discover(
    request: Request,
    *,
    trying: Trying = lambda what, done, total: None,
    reading: Progress | None = None,
    make_link: MakeLink = make_real_link,
) -> Discovery:
    """Find a meter and describe it.

    Raises ConnectError if the endpoint is not reachable, ConfigError if the request is wrong.
    Refusals by the meter are in the result.
    """
    return await _Survey(request, trying, reading, make_link).run()


class _Survey:
    def __init__(
        self, request: Request, trying: Trying, reading: Progress | None, make_link: MakeLink
    ) -> None:
        self._request, self._reading, self._make_link = request, reading, make_link
        self._refusals: list[Refusal] = []
        self._notes: list[str] = []
        self._let_in: list[int] = []
        self._referencing: str | None = None  #: the one that the meter uses
        self._dlms: Mapping[str, Any] | None = None
        self._draft = Draft(request)
        self._credentials = self._draft.credentials
        first = self._draft.device(self._credentials)
        self._connection: Connection = first.connection
        self._search = Search(
            first.connection, request.wanted, request.pace,
            make_link=make_link, trying=trying, all_baudrates=request.all_baudrates,
        )  # fmt: skip

    async def run(self) -> Discovery:
        await self._search.run()
        self._connection = self._search.connection
        self._note_search()
        description = await self._without_authentication()
        if self._credentials:
            description = await self._with_credentials() or description
        result = Discovery(
            endpoint=self._connection.endpoint,
            attempts=tuple(self._search.attempts),
            refusals=tuple(self._refusals),
            dlms=self._dlms,
            description=description,
            notes=tuple(self._notes),
        )
        if description is None or self._dlms is None:
            return replace(result, dlms=self._found_address(), advice=self._advice())
        return self._complete(result, description, self._dlms)

    # -- associations

    async def _without_authentication(self) -> Description | None:
        """Try associations without authentication, the public client's first.

        Stop at the first one that shows measured values, or at the first client that requires
        authentication: that is the client to have a secret for.
        """
        best: tuple[Description, Mapping[str, Any]] | None = None
        for candidate in self._doors()[:_MOST_OPEN_DOORS]:
            described = await self._describe(candidate, {})
            if described is not None and self._dlms is not None:
                best = best or (described, self._dlms)
                if items_of(described)["timeseries"]:
                    return described
            elif self._wanting_proof() is not None:
                break
        if best is None:
            return None
        description, self._dlms = best
        return description

    def _doors(self) -> list[Candidate]:
        """Return the candidates to try without authentication, the public client first."""
        places = sorted(self._places(), key=lambda one: one.client != PUBLIC_CLIENT)
        if places and not places[0].is_hdlc:
            # Over the wrapper the search stopped at the first client that was accepted.
            others = clients_first(self._request.wanted)
            tried = [each.candidate for each in self._search.attempts]
            asked = {each.client for each in tried if not each.is_hdlc}
            places += [replace(places[0], client=one) for one in others if one not in asked]
        if self._credentials and self._told_client() is not None:
            return [candidate for candidate in places if candidate.client == PUBLIC_CLIENT]
        return places

    def _wanting_proof(self) -> int | None:
        """Return the client from which the meter requires authentication, or None."""
        refusals = (each for each in self._refusals if each.wants_proof)
        return next((each.client for each in refusals), None)

    def _places(self) -> list[Candidate]:
        """Return the addresses that accepted, or refused only the application context."""
        return list(dict.fromkeys(
            attempt.found
            for attempt in self._search.answers
            if attempt.found is not None
            and (attempt.kind == "accepted" or WRONG_CONTEXT in attempt.detail)
        ))  # fmt: skip

    async def _with_credentials(self) -> Description | None:
        """Try the association with the user's secret, only once."""
        found = next((each.found for each in self._search.answers if each.found), None)
        if found is None:
            return None
        client = self._own_client()
        if client is None:
            self._notes.append(
                "the secret was not used: no client is known to want it; give --client"
            )
            return None
        return await self._describe(replace(found, client=client), self._credentials)

    def _own_client(self) -> int | None:
        """Return the client that the secret is for: the given one, else from the answers."""
        known = self._told_client() or self._wanting_proof()
        if known is not None:
            return known
        if any(NOT_RECOGNIZED in each.diagnostic for each in self._refusals):
            return None  # it also answers clients that it does not know
        answered = [each.found.client for each in self._search.answers if each.found]
        others = (each for each in answered if each != PUBLIC_CLIENT)
        return next(others, None) or next(iter(answered), None)

    def _told_client(self) -> int | None:
        """Return the client that the user or the preset names."""
        wanted = self._request.wanted
        if wanted.clients:
            return wanted.clients[0]
        known = preset_dlms(wanted.preset)
        if self._credentials and known.get("authentication", "NONE") == "NONE":
            return None  # the preset's client is one that needs no secret
        client = known.get("clientAddress")
        return None if client is None else int(client)

    async def _describe(
        self, candidate: Candidate, credentials: Mapping[str, Any]
    ) -> Description | None:
        """Open an association and read its objects; if that fails, note why and return None."""
        for referencing in self._referencings(credentials):
            dlms = {**section_of(candidate), **credentials}
            if referencing != "LN":
                dlms["referencing"] = referencing
            device = self._draft.device(dlms, self._connection)
            try:
                description = await in_association(
                    device,
                    self._make_link,
                    partial(self._read, device),
                    reopen_s=self._request.pace.reopen_s,
                    state_dir=self._request.state_dir,
                )
            except RefusedError as error:
                self._refuse(device.dlms, error)
                # Only for this reason it makes sense to try the other referencing.
                if credentials or WRONG_CONTEXT not in error.diagnostic:
                    return None
                continue
            except DlmsError as error:
                self._notes.append(f"{candidate}: {error}")
                return None
            self._dlms = dlms
            return description
        return None

    def _referencings(self, credentials: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the referencings to try: the given one, or the found or preset one first."""
        if given := credentials.get("referencing"):
            return (given,)
        usual = preset_dlms(self._request.wanted.preset).get("referencing", "LN")
        first = self._referencing or usual
        return (first, "SN" if first == "LN" else "LN")

    def _read(self, device: Device, client: Client) -> Talk[Description]:
        """Read the objects of the association that was just opened."""
        self._referencing = device.dlms.referencing
        self._let_in.append(device.dlms.client_address)
        return describe(
            client,
            referencing=device.dlms.referencing,
            options=options_of(device.dlms),
            progress=self._reading,
        )

    def _refuse(self, dlms: Dlms, error: RefusedError) -> None:
        if WRONG_CONTEXT not in error.diagnostic:
            self._referencing = dlms.referencing  # the meter understood this one, though it refused
        self._refusals.append(
            Refusal(
                dlms.client_address, dlms.authentication, error.diagnostic, error.hint,
                dlms.referencing,
            )
        )  # fmt: skip

    # -- result

    def _complete(
        self, result: Discovery, description: Description, dlms: Mapping[str, Any]
    ) -> Discovery:
        request = self._request
        notes = result.notes
        if description.unlisted:
            notes += (f"{description.unlisted}; asked for what is usual instead",)
        name = request.name or device_name(description, result.endpoint.rpartition("/")[2])
        items = items_of(description, every=request.every_register)
        entry = self._draft.entry(name, dlms, items, self._connection)
        device_of(entry, request.folder)
        objects = [one.obis for one in description.objects]
        presets = fitting(dlms, objects, description.logical_device_name)
        advice = self._further(items) + others(description.logical_devices, dlms)
        return replace(result, entry=entry, presets=presets, notes=notes, advice=advice)

    def _further(self, items: Mapping[str, Any]) -> tuple[str, ...]:
        """Return how to read more than the opened association shows."""
        return further(self._refusals, measures=bool(items["timeseries"]))

    def _advice(self) -> tuple[str, ...]:
        refusals = [*self._refusals]
        if not refusals:
            refusals = [
                Refusal(each.found.client, "NONE", each.detail, each.hint)
                for each in self._search.answers
                if each.found and each.kind == "refused" and not each.candidate.is_hdlc
            ]
        return advise(
            self._search.attempts, refusals, self._request.wanted, let_in=self._let_in,
            serial=isinstance(self._connection, SerialConnection),
            timeout_s=self._request.pace.timeout_s,
        )  # fmt: skip

    def _found_address(self) -> Mapping[str, Any] | None:
        found = next((each.found for each in self._search.answers if each.found), None)
        return section_of(found) if found else None

    def _note_search(self) -> None:
        self._notes += [each for each in (self._search.stopped, self._search.lost) if each]
        if self._search.identification:
            self._notes.append(f"IEC 62056-21: {self._search.identification}")
