"""Advice in sentences, from the probes and their answers; no IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dlms_connector.discovery.candidates import Wanted
from dlms_connector.discovery.probes import Attempt
from dlms_connector.discovery.refusals import Failure, Refusal
from dlms_connector.hints import Framing, Symptom, looks_like, sentence, with_options


def advise(
    attempts: Sequence[Attempt],
    refusals: Sequence[Refusal],
    wanted: Wanted,
    *,
    let_in: Sequence[int] = (),
    failures: Sequence[Failure] = (),
    serial: bool,
    timeout_s: float,
) -> tuple[str, ...]:
    """Return what was tried and what to check next, if no entry could be made.

    `let_in` are clients whose association was opened, but whose objects could not be read.
    """
    causes = tuple(each.advice for each in failures)
    if let_in:
        return (*_of_let_in(let_in, refusals), *causes)
    if refusals:
        return (*_of_refusals(refusals), *causes)
    if any(attempt.answered for attempt in attempts):
        return causes or tuple(_of_links(attempts))
    return (*_of_silence(attempts, wanted, serial=serial, timeout_s=timeout_s), *causes)


def tried(attempts: Iterable[Attempt]) -> str:
    """Return the probed addresses in words."""
    kinds: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        baud = f" at {attempt.baudrate} baud" if attempt.baudrate else ""
        kinds.setdefault(f"{attempt.candidate.interface}{baud}", []).append(attempt)
    return "; ".join(f"{kind}: {_addresses(group)}" for kind, group in kinds.items())


def _addresses(attempts: Sequence[Attempt]) -> str:
    clients = dict.fromkeys(str(each.candidate.client) for each in attempts)
    servers = dict.fromkeys(
        f"{each.candidate.server.logical}/{each.candidate.server.physical}"
        if each.candidate.is_hdlc
        else f"{each.candidate.server.logical}"
        for each in attempts
    )
    return (
        f"{len(attempts)} probe{'s' * (len(attempts) > 1)}, client{'s' * (len(clients) > 1)} "
        f"{', '.join(clients)}, server{'s' * (len(servers) > 1)} {', '.join(servers)}"
    )


def further(
    refusals: Sequence[Refusal],
    failures: Sequence[Failure] = (),
    *,
    measures: bool,
    unnamed: int = 0,
) -> tuple[str, ...]:
    """Return how to read more, if one association was opened and others were refused.

    `unnamed` is the number of registers that are left out because their meaning is unknown.
    """
    if measures:
        refusals = [each for each in refusals if each.authentication != "NONE"]
    lines = [
        f"refused: {each}"
        for each in refusals
        if each.authentication != "NONE" or not (each.wants_other_context or each.is_unknown)
    ]
    hints = _hints(refusals)
    lines += hints
    lines += [each.advice for each in failures]
    if unnamed:
        lines.append(f"{unnamed} registers of unknown meaning have values: --all takes them")
    if not measures and not hints and not unnamed:
        lines.append(
            "this client reads no measured values: give --client, --authentication and "
            "--password-env of one that does; the meter's owner knows them"
        )
    return tuple(lines)


def others(logical_devices: Mapping[int, str], dlms: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the meter's logical devices other than the one at the address in section `dlms`."""
    logical, physical = dlms["logicalAddress"], dlms.get("physicalAddress")
    own = logical or physical  # an HDLC address of one field has only one of them
    more = {sap: name for sap, name in logical_devices.items() if sap != own}
    if own not in logical_devices or not more:
        return ()
    named = ", ".join(f"{sap} ({name})" for sap, name in more.items())
    first = next(iter(more))
    example = str(first)
    if physical is not None:
        example = f"{first}/{physical}" if logical else f"0/{first}"
    return (
        f"more logical devices are within the meter: {named}; each is found by its own --server, "
        f"such as --server {example}",
    )


def _hints(refusals: Sequence[Refusal]) -> list[str]:
    """Return advice from the refusals about options to give, without duplicates."""
    return list(dict.fromkeys(
        [*(each.advice for each in refusals if each.advice), *_of_ciphering(refusals)]
    ))  # fmt: skip


def _of_ciphering(refusals: Iterable[Refusal]) -> Iterator[str]:
    """Name the clients that refuse both LN and SN without ciphering: they want ciphering."""
    refused: dict[int, set[str]] = {}
    for each in refusals:
        if each.authentication == "NONE" and each.wants_other_context:
            refused.setdefault(each.client, set()).add(each.referencing)
    for client, contexts in refused.items():
        if len(contexts) > 1:
            yield (
                f"client {client} takes neither LN nor SN in clear, so it wants ciphering: its "
                f"owner knows the keys; give --client {client} --dlms systemTitle=… --dlms "
                "security=AUTHENTICATION_ENCRYPTION --dlms blockCipherKey='${env:DLMS_KEY}' "
                "--dlms authenticationKey='${env:DLMS_AUTHENTICATION_KEY}' --dlms "
                "invocationCounter=0-0:43.1.0, and --authentication, often HIGH_GMAC"
            )


def _of_let_in(clients: Iterable[int], refusals: Sequence[Refusal]) -> Iterator[str]:
    for client in dict.fromkeys(clients):
        yield (
            f"client {client} is let in, but reading what it has failed: raise --timeout where the "
            "line is slow; a client with a password may be shown more"
        )
    yield from _hints(refusals)


def _of_refusals(refusals: Sequence[Refusal]) -> Iterator[str]:
    yield "the meter is there and its address is right, but it refuses us:"
    for refusal in refusals:
        yield f"  {refusal}"
    hints = _hints(refusals)
    yield from hints
    proofs = [each for each in refusals if each.authentication != "NONE"]
    if any(not each.wants_other_context for each in proofs):
        yield (
            "suspect --client first, then --authentication, then the password; it was tried "
            "once and will not be tried again by itself: meters lock out guessers"
        )
    elif not proofs and not hints:
        yield (
            "suspect the client address and the authentication: ask the meter's owner for client "
            "address, authentication and password, and give --client, --authentication LOW and "
            "--password-env DLMS_PASSWORD"
        )


def _of_links(attempts: Sequence[Attempt]) -> Iterator[str]:
    heard = [attempt for attempt in attempts if attempt.answered and attempt.found]
    for attempt in heard:
        said = attempt.detail or "accepts the link"
        yield f"{attempt.found} answers: {said}"
    if all(attempt.kind == "refused" for attempt in heard):
        yield (
            "the server address is right; suspect the client address (--client), or another "
            "client that holds the meter: it lets go after its inactivity timeout, often 120 s"
        )
    else:
        yield (
            "the addresses and the framing are right, but no association came of it; suspect "
            "--client, and a meter that is slow: raise --timeout"
        )


def _of_silence(
    attempts: Sequence[Attempt], wanted: Wanted, *, serial: bool, timeout_s: float
) -> Iterator[str]:
    yield f"no meter answered; tried {tried(attempts) or 'nothing'}"
    closed = [attempt for attempt in attempts if attempt.kind == "closed"]
    busy = next((attempt for attempt in attempts if attempt.kind == "foreign"), None)
    if busy:
        yield _of_others(busy)
        return
    noise = next((attempt for attempt in attempts if attempt.noise), None)
    if noise:
        yield _of_noise(noise, serial=serial)
    if any(attempt.symptom is Symptom.ECHO for attempt in attempts):
        yield sentence([Symptom.ECHO])
    if closed:
        yield f"the peer hung up {len(closed)} times: {sentence([Symptom.HUNG_UP])} (--client)"
    yield from _of_narrowing(wanted)
    if not wanted.servers and wanted.serial_number is None:
        yield (
            "suspect the server address first: on RS-485 it is often made of the last four "
            "digits of the serial number (--serial-number), or written in the meter's menu "
            "(--server LOGICAL/PHYSICAL)"
        )
    if not wanted.interfaces and not serial:
        yield (
            "then the framing: HDLC behind converters, WRAPPER on meters with their own IP; behind "
            "an optical head HDLC_WITH_MODE_E, for which the converter must begin at 300 baud 7E1"
        )
    if serial and not noise:
        yield (
            "then baud rate, parity and wiring (A and B swapped, no termination); an optical "
            "head needs HDLC_WITH_MODE_E and to sit on the meter"
        )
    elif not noise:
        yield (
            "then the converter: its serial side must have the meter's baud rate (often 9600 "
            "8N1), and pass bytes on unchanged"
        )
    yield (
        f"each probe waited {timeout_s:g} s: behind slow modems raise --timeout; a meter that was "
        "cut off in the middle of a session may stay silent until its inactivity timeout"
    )


def _of_others(attempt: Attempt) -> str:
    found = attempt.found or attempt.candidate
    server = found.server
    at = f"{server.logical}/{server.physical}" if found.is_hdlc else f"wPort {server.logical}"
    return (
        f"a valid frame {attempt.detail} came (server {at}): {sentence([Symptom.OTHERS_SESSION])}"
    )


def _of_noise(attempt: Attempt, *, serial: bool) -> str:
    framing: Framing = "HDLC" if attempt.candidate.is_hdlc else "WRAPPER"
    symptom = attempt.symptom or looks_like(attempt.noise, framing)
    what = with_options(symptom)
    if symptom is Symptom.NO_FRAME:
        whose = "" if serial else "the converter's "
        what += f"; suspect {whose}baud rate and parity first"
    text = symptom in (Symptom.TEXT, Symptom.IDENTIFICATION)
    shown = repr(attempt.noise[:24]) if text else attempt.noise[:12].hex(" ")
    return f"what came ({shown}): {what}"


def _of_narrowing(wanted: Wanted) -> Iterator[str]:
    narrowed = {
        "--client": wanted.clients,
        "--server": wanted.servers,
        "--interface": wanted.interfaces,
    }
    given = [option for option, value in narrowed.items() if value]
    if given:
        yield f"the search was narrowed by {', '.join(given)}: try without"
