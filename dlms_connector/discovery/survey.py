"""The whole discovery: find a meter, open an association, read its objects, make the entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dlms_connector.config import Connection, SerialConnection
from dlms_connector.discovery.advice import advise, further, others
from dlms_connector.discovery.associations import Associations
from dlms_connector.discovery.candidates import (
    PUBLIC_CLIENT,
    Candidate,
    clients_first,
    preset_dlms,
    wrapper,
)
from dlms_connector.discovery.description import Description
from dlms_connector.discovery.draft import (
    Draft,
    Request,
    device_of,
    presents_secret,
    section_of,
)
from dlms_connector.discovery.entry import device_name, items_of, left_out, name_for
from dlms_connector.discovery.gathering import Progress
from dlms_connector.discovery.opening import Shown
from dlms_connector.discovery.preset_fit import fitting
from dlms_connector.discovery.probes import NOT_RECOGNIZED, Attempt
from dlms_connector.discovery.readout import READOUT_PERIOD_MS, items_of_readout, number_of
from dlms_connector.discovery.refusals import Refusal
from dlms_connector.discovery.search import MakeLink, Search, Trying
from dlms_connector.link import make_link as make_real_link

#: Most clients to ask for an association without authentication: the meter may log each.
_MOST_OPEN_DOORS = 4
#: Codes of a readout that are told.
_MOST_CODES = 60
_NOTHING_KNOWN = "no code of the readout has a known meaning: --all takes every number with a unit"
#: A client that gives so many measured values is not compared with others.
_PLENTY = 6


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
    def measures(self) -> bool:
        """Whether there is an entry that reads measured values."""
        return self.entry is not None and bool(self.entry.get("timeseries"))

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
        self._request = request
        self._draft = Draft(request)
        known = self._draft.credentials
        first = self._draft.device(known)
        #: Keys without a secret hold for whoever answers; with one, for the client it belongs to.
        secret = presents_secret(first.dlms)
        self._credentials: Mapping[str, Any] = known if secret else {}
        self._plain: Mapping[str, Any] = {} if secret else known
        self._connection: Connection = first.connection
        self._tries = Associations(request, self._draft, make_link, trying, reading)
        self._search = Search(
            first.connection, request.wanted, request.pace,
            make_link=make_link, trying=trying, all_baudrates=request.all_baudrates,
        )  # fmt: skip

    async def run(self) -> Discovery:
        await self._search.run()
        self._connection = self._search.connection
        self._tries.use(self._connection, len(self._search.attempts))
        self._note_search()
        if self._search.readout:
            return self._read_out()
        shown = await self._without_authentication()
        if self._credentials:
            shown = self._better(shown, await self._with_credentials())
        result = Discovery(
            endpoint=self._connection.endpoint,
            attempts=tuple(self._search.attempts),
            refusals=tuple(self._tries.refusals),
            notes=tuple(self._tries.notes),
        )
        if shown is None:
            return replace(result, dlms=self._found_address(), advice=self._advice())
        return self._complete(result, shown)

    # -- associations

    async def _without_authentication(self) -> Shown | None:
        """Try associations without authentication, the public client's first.

        Return what the client shows that gives most. A client that wants authentication does
        not end this, unless there is a secret for it.
        """
        best: Shown | None = None
        for candidate in self._doors()[:_MOST_OPEN_DOORS]:
            shown = await self._tries.show(candidate, self._plain, best.size if best else 0)
            if shown is not None and (best is None or shown.rank > best.rank):
                best = shown
            if best is not None and best.measured >= _PLENTY:
                break
            if self._credentials and self._wanting_proof() is not None:
                break
        return best

    def _better(self, freely: Shown | None, proved: Shown | None) -> Shown | None:
        """Return what gives more: without a secret, or with it."""
        if freely is None or proved is None:
            return proved or freely
        told = bool(self._request.wanted.clients) and proved.measured > 0
        if told or proved.rank >= freely.rank:
            return proved
        client = freely.dlms["clientAddress"]
        self._tries.notes.append(
            f"client {client} gives more without a secret than client "
            f"{proved.dlms['clientAddress']} with it: the entry is for client {client}"
        )
        return freely

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
        refusals = (each for each in self._tries.refusals if each.wants_proof)
        return next((each.client for each in refusals), None)

    def _places(self) -> list[Candidate]:
        """Return the addresses that accepted, or that may mind only the referencing."""
        return list(dict.fromkeys(
            attempt.found
            for attempt in self._search.answers
            if attempt.found is not None
            and (attempt.kind == "accepted" or attempt.minds_referencing)
        ))  # fmt: skip

    async def _with_credentials(self) -> Shown | None:
        """Try the association with the user's secret, only once."""
        found = next((each.found for each in self._search.answers if each.found), None)
        if found is None:
            found = self._unheard()
        if found is None:
            return None
        client = self._own_client()
        if client is None:
            self._tries.notes.append(
                "the secret was not used: no client is known to want it; give --client"
            )
            return None
        return await self._tries.show(replace(found, client=client), self._credentials)

    def _unheard(self) -> Candidate | None:
        """Return where to use keys though nothing answered: some meters hear ciphered AARQ only.

        Over HDLC the link would have been answered. A password in clear is not sent to nobody.
        """
        proof = self._credentials.get("authentication", "NONE")
        first = next(wrapper(self._request.wanted), None)
        interfaces = self._request.wanted.interfaces or ("WRAPPER",)
        known = self._request.wanted.clients and "WRAPPER" in interfaces
        serial = isinstance(self._connection, SerialConnection)
        return first if known and proof not in ("NONE", "LOW") and not serial else None

    def _own_client(self) -> int | None:
        """Return the client that the secret is for: the given one, else from the answers."""
        known = self._told_client() or self._wanting_proof()
        if known is not None:
            return known
        if any(NOT_RECOGNIZED in each.diagnostic for each in self._tries.refusals):
            return None  # it also answers clients that it does not know
        answered = [each.found.client for each in self._search.answers if each.found]
        # Over the wrapper the search ends with the public client; others were let in later.
        others = (each for each in (*answered, *self._tries.let_in) if each != PUBLIC_CLIENT)
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

    # -- result

    def _read_out(self) -> Discovery:
        """Return the entry of a meter that speaks no DLMS, from its readout."""
        request, sets = self._request, self._search.readout
        endpoint = self._connection.endpoint
        dlms = {"interfaceType": "IEC_62056_21"}
        items = items_of_readout(sets, every=request.every_register)
        name = request.name or name_for(number_of(sets), endpoint)
        entry = self._draft.entry(name, dlms, items, self._connection)
        entry["pollPeriod"] = READOUT_PERIOD_MS
        device_of(entry, request.folder)
        codes = ", ".join(one.code for one in sets[:_MOST_CODES])
        self._tries.notes.append(
            f"it speaks no DLMS here: the entry reads its readout, which has the codes {codes}"
        )
        return Discovery(
            endpoint=endpoint,
            attempts=tuple(self._search.attempts),
            notes=tuple(self._tries.notes),
            dlms=dlms,
            entry=entry,
            advice=() if items["timeseries"] else (_NOTHING_KNOWN,),
        )

    def _complete(self, result: Discovery, shown: Shown) -> Discovery:
        request, description, dlms = self._request, shown.description, shown.dlms
        notes = (*result.notes, *description.notes)
        if description.unlisted:
            notes += (f"{description.unlisted}; asked for what is usual instead",)
        name = request.name or device_name(description, result.endpoint)
        if not (request.name or description.serial_number or description.logical_device_name):
            notes += ("the meter tells no number and no name: --name gives it another deviceName",)
        items = items_of(description, every=request.every_register)
        entry = self._draft.entry(name, dlms, items, self._connection, shown.workarounds)
        device_of(entry, request.folder)
        objects = [one.obis for one in description.objects]
        presets = fitting(dlms, objects, description.logical_device_name)
        measures = bool(items["timeseries"])
        advice = further(
            self._tries.refusals, self._tries.failures, measures=measures,
            unnamed=0 if measures else len(left_out(description)),
        ) + others(description.logical_devices, dlms)  # fmt: skip
        return replace(
            result, dlms=dlms, description=description, entry=entry, presets=presets,
            notes=notes, advice=advice,
        )  # fmt: skip

    def _advice(self) -> tuple[str, ...]:
        refusals = [*self._tries.refusals]
        if not refusals and not self._tries.failures:
            refusals = [
                Refusal(each.found.client, "NONE", each.detail, each.hint)
                for each in self._search.answers
                if each.found and each.kind == "refused" and not each.candidate.is_hdlc
            ]
        return advise(
            self._search.attempts, refusals, self._request.wanted, let_in=self._tries.let_in,
            failures=self._tries.failures,
            serial=isinstance(self._connection, SerialConnection),
            timeout_s=self._request.pace.timeout_s,
        )  # fmt: skip

    def _found_address(self) -> Mapping[str, Any] | None:
        found = next((each.found for each in self._search.answers if each.found), None)
        return section_of(found) if found else None

    def _note_search(self) -> None:
        self._tries.notes += [each for each in (self._search.stopped, self._search.lost) if each]
        if self._search.identification:
            self._tries.notes.append(f"IEC 62056-21: {self._search.identification}")
