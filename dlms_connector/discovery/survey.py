"""Discovery from end to end: who is there, who lets us in, what they have, and the entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from dlms_connector.config import preset
from dlms_connector.config.loading import load
from dlms_connector.config.model import Connection, Device, SerialConnection
from dlms_connector.discovery.advice import Refusal, advise
from dlms_connector.discovery.association import within
from dlms_connector.discovery.candidates import PUBLIC_CLIENT, Candidate, Wanted, preset_dlms
from dlms_connector.discovery.description import Description, Progress, describe
from dlms_connector.discovery.entry import device_name, items_of, make_entry
from dlms_connector.discovery.preset_fit import fitting
from dlms_connector.discovery.probes import Attempt
from dlms_connector.discovery.search import MakeLink, Pace, Search, Trying
from dlms_connector.errors import ConfigError, DlmsError, RefusedError
from dlms_connector.interpret import options_of
from dlms_connector.link import make_link as make_real_link

#: Associations without authentication that are asked for: each is a knock in the meter's log.
_MOST_OPEN_DOORS = 4
_WRONG_CONTEXT = "application-context-name"
_PROBE = "discovered"
#: What of a preset the search itself finds out.
_ADDRESS = ("interfaceType", "clientAddress", "logicalAddress", "physicalAddress", "addressSize",
            "serialNumber", "serialNumberFormula")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to discover, and what is known before.

    `connection` and `credentials` are sections of `dlms.json` as they are written there
    (`credentials` are keys of `dlms` such as `authentication`, `password`): they come back
    in the entry. References to secrets are looked up below `folder`.
    """

    connection: Mapping[str, Any]
    wanted: Wanted = field(default_factory=Wanted)
    credentials: Mapping[str, Any] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    name: str | None = None
    every_register: bool = False
    all_baudrates: bool = True
    folder: Path = Path()


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What came of it; `entry` is None where no association could be opened."""

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
    """Look for a meter and describe it.

    Raises ConnectError if nobody is at the endpoint, ConfigError for what is wrong in the
    request. What a meter refuses is in the result.
    """
    return await _Survey(request, trying, reading, make_link).run()


class _Survey:
    def __init__(
        self, request: Request, trying: Trying, reading: Progress | None, make_link: MakeLink
    ) -> None:
        self._request, self._reading, self._make_link = request, reading, make_link
        self._refusals: list[Refusal] = []
        self._notes: list[str] = []
        self._dlms: Mapping[str, Any] | None = None
        self._credentials = _credentials(request)
        first = self._device(self._credentials)
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
        """Ask for associations that need no secret, the public client's first."""
        doors = list(self._doors())
        for candidate in doors[:_MOST_OPEN_DOORS]:
            described = await self._describe(candidate, {})
            if described is not None:
                return described
        return None

    def _doors(self) -> Iterator[Candidate]:
        """Yield who may be asked without authentication, the public client first."""
        places = self._places()
        own = self._own_client() if self._credentials else None
        for candidate in sorted(places, key=lambda one: one.client != PUBLIC_CLIENT):
            if candidate.client == PUBLIC_CLIENT or own is None:
                yield candidate

    def _places(self) -> list[Candidate]:
        """Return who accepted a link, or refused for a reason that does not concern the client."""
        return list(dict.fromkeys(
            attempt.found
            for attempt in self._search.answers
            if attempt.found is not None
            and (attempt.kind == "accepted" or _WRONG_CONTEXT in attempt.detail)
        ))  # fmt: skip

    async def _with_credentials(self) -> Description | None:
        """Ask for the one association that the user has a secret for: once."""
        found = next((each.found for each in self._search.answers if each.found), None)
        client = self._own_client()
        if found is None or client is None:
            return None
        return await self._describe(replace(found, client=client), self._credentials)

    def _own_client(self) -> int | None:
        """Return the client that the secret is for: as told, else as the meter answered."""
        wanted = self._request.wanted
        if wanted.clients:
            return wanted.clients[0]
        if client := preset_dlms(wanted.preset).get("clientAddress"):
            return int(client)
        answered = [each.found.client for each in self._search.answers if each.found]
        return next((each for each in answered if each != PUBLIC_CLIENT), None) or next(
            iter(answered), None
        )

    async def _describe(
        self, candidate: Candidate, credentials: Mapping[str, Any]
    ) -> Description | None:
        """Open an association and read what it offers; None where that fails, with the reason."""
        first = preset_dlms(self._request.wanted.preset).get("referencing", "LN")
        given = credentials.get("referencing")
        for referencing in (given,) if given else (first, "SN" if first == "LN" else "LN"):
            dlms = {**section_of(candidate), **credentials}
            if referencing != "LN":
                dlms["referencing"] = referencing
            device = self._device(dlms)
            job = partial(
                describe,
                referencing=device.dlms.referencing,
                options=options_of(device.dlms),
                progress=self._reading,
            )
            try:
                description = await within(device, self._make_link, job)
            except RefusedError as error:
                self._refuse(candidate.client, device.dlms.authentication, error)
                # The one reason after which asking in the other way is not guessing.
                if credentials or _WRONG_CONTEXT not in error.diagnostic:
                    return None
                continue
            except DlmsError as error:
                self._notes.append(f"{candidate}: {error}")
                return None
            self._dlms = dlms
            return description
        return None

    def _refuse(self, client: int, authentication: str, error: RefusedError) -> None:
        self._refusals.append(Refusal(client, authentication, error.diagnostic, error.hint))

    def _device(self, dlms: Mapping[str, Any]) -> Device:
        """Return a device of the entry as far as it is known. Raises ConfigError."""
        entry = make_entry(
            _PROBE, self._connection_section(), dlms, {}, self._preset_section("workarounds")
        )
        return device_of(entry, self._request.folder)

    # -- what comes of it

    def _complete(
        self, result: Discovery, description: Description, dlms: Mapping[str, Any]
    ) -> Discovery:
        request = self._request
        name = request.name or device_name(description, result.endpoint.rpartition("/")[2])
        items = items_of(description, every=request.every_register)
        entry = make_entry(
            name, self._connection_section(), dlms, items, self._preset_section("workarounds")
        )
        device_of(entry, request.folder)
        objects = [one.obis for one in description.objects]
        presets = fitting(dlms, objects, description.logical_device_name)
        return replace(result, entry=entry, presets=presets, advice=self._further(items))

    def _further(self, items: Mapping[str, Any]) -> tuple[str, ...]:
        """Say how to get further where an association was opened that shows little."""
        advice = [f"refused: {refusal}" for refusal in self._refusals]
        advice += dict.fromkeys(each.hint for each in self._refusals if each.hint)
        if not items["timeseries"]:
            advice.append(
                "this client reads no measured values: give --client, --authentication and "
                "--password-env of one that does; its owner knows them"
            )
        return tuple(advice)

    def _advice(self) -> tuple[str, ...]:
        refusals = [*self._refusals]
        if not refusals:
            refusals = [
                Refusal(each.found.client, "NONE", each.detail, each.hint)
                for each in self._search.answers
                if each.found and each.kind == "refused" and not each.candidate.is_hdlc
            ]
        return advise(
            self._search.attempts, refusals, self._request.wanted,
            serial=isinstance(self._connection, SerialConnection),
            timeout_s=self._request.pace.timeout_s,
        )  # fmt: skip

    def _found_address(self) -> Mapping[str, Any] | None:
        found = next((each.found for each in self._search.answers if each.found), None)
        return section_of(found) if found else None

    def _note_search(self) -> None:
        if self._search.stopped:
            self._notes.append(self._search.stopped)
        if self._search.identification:
            self._notes.append(f"IEC 62056-21: {self._search.identification}")

    def _connection_section(self) -> Mapping[str, Any]:
        """Return the connection as given, with the preset's times and the baud rate found."""
        section = {**self._preset_section("connection"), **self._request.connection}
        found = getattr(self, "_connection", None)
        if isinstance(found, SerialConnection):
            section["baudrate"] = found.baudrate
        return section

    def _preset_section(self, key: str) -> Mapping[str, Any]:
        name = self._request.wanted.preset
        section: dict[str, Any] = {}
        while name is not None:
            values = preset.values(name)
            section = {**values.get(key, {}), **section}
            name = values.get("template")
        return section


def _credentials(request: Request) -> Mapping[str, Any]:
    """Return what the user has to prove himself with, and what the preset adds to it."""
    if not request.credentials:
        return {}
    known = preset_dlms(request.wanted.preset)
    return {key: value for key, value in known.items() if key not in _ADDRESS} | dict(
        request.credentials
    )


def section_of(candidate: Candidate) -> dict[str, Any]:
    """Return the section `dlms` that reaches a candidate."""
    logical, physical, size = candidate.server
    section: dict[str, Any] = {
        "interfaceType": candidate.interface,
        "clientAddress": candidate.client,
        "logicalAddress": logical,
    }
    if candidate.is_hdlc:
        section["physicalAddress"] = physical
        if size is not None:
            section["addressSize"] = size
    return section


def device_of(entry: Mapping[str, Any], folder: Path) -> Device:
    """Return the device of an entry, validated as the connector does. Raises ConfigError."""
    loaded = load({"devices": [entry]}, base=folder)
    if loaded.every_problem:
        raise ConfigError(*(each.removeprefix("devices[0].") for each in loaded.every_problem))
    return loaded.configuration.devices[0]
