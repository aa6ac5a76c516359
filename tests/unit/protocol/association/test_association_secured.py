"""Associations that are ciphered and proved, against a meter made of the same parts."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.config.model import Workarounds
from dlms_connector.errors import (
    ConfigError,
    CounterError,
    DlmsError,
    LinkClosedError,
    ProtocolError,
    RefusedError,
    SecurityError,
)
from dlms_connector.protocol.acse.acse import Aare, Aarq, Mechanism
from dlms_connector.protocol.acse.initiate import InitiateResponse
from dlms_connector.protocol.association.association import Association
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.security.ciphering import CountUp, Keys
from dlms_connector.protocol.security.protection import GLOBAL, is_ciphered
from dlms_connector.protocol.security.signing import Signer, write_public_key
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.talk import Talk
from tests.support.secured_meter import (
    CLIENT_NUMBER,
    CLIENT_TITLE,
    SECRET,
    SERVER_NUMBER,
    SERVER_TITLE,
    Line,
    SecuredMeter,
    authentication_key,
    block_key,
    finish,
    secured,
)

GET = bytes.fromhex("C001C100080000010000FF0200")
ALL = "AUTHENTICATION_ENCRYPTION"
HIGH = [name for name in Mechanism.__members__ if name.startswith("HIGH")]
CLIENT_PAIR = derive_private_key(CLIENT_NUMBER, SECP256R1())
METER_PAIR = derive_private_key(SERVER_NUMBER, SECP256R1())


def party(
    workarounds: Workarounds | None = None, counter: CountUp | None = None, **fields: Any
) -> tuple[Association, SecuredMeter, Line]:
    if fields.get("authentication") == "HIGH_ECDSA":
        fields["signing_key"] = CLIENT_NUMBER.to_bytes(32, "big")
        fields["server_signing_key"] = write_public_key(METER_PAIR.public_key())
    dlms = secured(**fields)
    meter = SecuredMeter(dlms, Signer(1, METER_PAIR, CLIENT_PAIR.public_key()))
    mine = Association(dlms, workarounds or Workarounds(), counter or CountUp())
    return mine, meter, Line(meter.answer)


def ask(mine: Association, line: Line) -> bytes:
    return mine.unprotect(finish(line.exchange(mine.protect(GET))))


@pytest.mark.parametrize("mechanism", ["NONE", "LOW", *HIGH])
@pytest.mark.parametrize("security", ["NONE", "AUTHENTICATION", "ENCRYPTION", ALL])
@pytest.mark.parametrize("referencing", ["LN", "SN"])
def test_every_mechanism_and_protection(mechanism: str, security: str, referencing: str) -> None:
    mine, meter, line = party(authentication=mechanism, security=security, referencing=referencing)
    agreed = finish(mine.open(line))
    assert agreed.max_pdu == 1000
    assert ("get" if referencing == "LN" else "read") in agreed.conformance
    assert meter.proved is mechanism.startswith("HIGH")
    assert ask(mine, line) == meter.value
    assert is_ciphered(line.heard[-1]) is (security != "NONE")
    finish(mine.close(line))
    assert line.heard[-1][0] == 0x62


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("dedicated", [False, True])
@pytest.mark.parametrize("general", [False, True])
def test_suites_and_forms(suite: int, dedicated: bool, general: bool) -> None:
    key = block_key(suite)[::-1] if dedicated else None
    mine, meter, line = party(
        authentication="HIGH_GMAC",
        security=ALL,
        security_suite=suite,
        general_ciphering=general,
        dedicated_key=key,
    )
    agreed = finish(mine.open(line))
    assert agreed.server_system_title == SERVER_TITLE
    assert ask(mine, line) == meter.value
    tags = {(False, False): 0xC8, (True, False): 0xD0, (False, True): 0xDB, (True, True): 0xDC}
    assert line.heard[-1][0] == tags[dedicated, general]


@pytest.mark.parametrize("security", ["NONE", ALL])
def test_ciphered_requests_are_never_sent_twice(security: str) -> None:
    mine, meter, line = party(security=security)
    finish(mine.open(line))
    assert line.repeatable is (security == "NONE")
    asking = Conversation(line, mine).ask(GET, "reading", repeatable=True)
    assert finish(asking) == meter.value
    assert line.repeatable is (security == "NONE")


@pytest.mark.parametrize("security", ["NONE", ALL])
@pytest.mark.parametrize("sign", ["handshake", "always"])
def test_signed_requests(security: str, sign: str) -> None:
    mine, meter, line = party(
        Workarounds.model_validate({"sign": sign}), authentication="HIGH_ECDSA", security=security
    )
    meter.signer = Signer(1, METER_PAIR, CLIENT_PAIR.public_key())
    finish(mine.open(line))
    assert meter.proved
    assert meter.signed == 1
    assert ask(mine, line) == meter.value
    assert meter.signed == (2 if sign == "always" else 1)
    meter.signs = False
    if sign == "always":
        with pytest.raises(SecurityError, match="not signed"):
            ask(mine, line)
    else:
        assert ask(mine, line) == meter.value


def test_dedicated_keys_are_drawn_anew() -> None:
    mine, meter, line = party(security=ALL, authentication="HIGH_GMAC", dedicated_key=bytes(16))
    seen = set()
    for _ in range(3):
        finish(mine.open(line))
        seen.add(meter.request.dedicated_key)
        assert ask(mine, line) == meter.value
    assert len(seen) == 3


def test_what_the_first_ciphered_request_looks_like() -> None:
    mine, _, line = party(security=ALL, authentication="HIGH_GMAC", counter=CountUp(0x99))
    finish(mine.open(line))
    aarq = Aarq.parse(line.heard[0])
    assert (aarq.context, aarq.mechanism, aarq.title) == (3, 5, CLIENT_TITLE)
    assert aarq.user_information[:7] == bytes.fromhex("21 1F 30 00000099")
    assert aarq.authentication is not None
    assert len(aarq.authentication) == 16


def test_challenges_differ_and_have_the_size_asked_for() -> None:
    mine, _, line = party(Workarounds(challenge_size=32), authentication="HIGH_MD5")
    challenges = set()
    for _ in range(5):
        finish(mine.open(line))
        challenges.add(Aarq.parse(line.heard[-2]).authentication)
    assert len(challenges) == 5
    assert {len(challenge or b"") for challenge in challenges} == {32}


@pytest.mark.parametrize("mechanism", HIGH)
@pytest.mark.parametrize(
    "lie", [lambda right: b"", lambda right: right[::-1], lambda right: right[:-1] + b"\0\0"]
)
def test_a_meter_that_does_not_know_the_secret(
    mechanism: str, lie: Callable[[bytes], bytes]
) -> None:
    mine, meter, line = party(authentication=mechanism)
    meter.twist_answer = lie
    with pytest.raises(SecurityError, match="wrong"):
        finish(mine.open(line))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("C7 01 C1 03 00", RefusedError),
        ("C7 01 C1 00 01 01 03", RefusedError),
        ("C7 01 C1 00 00", SecurityError),
        ("C7 01 C1 00 01 00 00", SecurityError),
        ("C7 01 C2 00 01 00 09 01 00", ProtocolError),
        ("C7 01 C1 00 01 00 09 01 00 00", ProtocolError),
        ("D8 01 02", RefusedError),
        ("0E 06 05 02", RefusedError),
        ("C4 01 C1 00 00", ProtocolError),
        ("", ProtocolError),
    ],
)
def test_pass_4_is_refused_or_missing(reply: str, error: type[DlmsError]) -> None:
    mine, meter, line = party(authentication="HIGH_MD5")
    meter.twist = lambda apdu: apdu if apdu[0] == 0x61 else bytes.fromhex(reply)
    with pytest.raises(error) as caught:
        finish(mine.open(line))
    if error is RefusedError:
        assert "dlms.password" in caught.value.hint


@pytest.mark.parametrize(
    ("reply", "error"),
    [("0C 01 01 03", RefusedError), ("0C 01 00 00", SecurityError), ("0C 02 00 00", ProtocolError)],
)
def test_pass_4_with_short_names(reply: str, error: type[DlmsError]) -> None:
    mine, meter, line = party(authentication="HIGH_MD5", referencing="SN")
    meter.twist = lambda apdu: apdu if apdu[0] == 0x61 else bytes.fromhex(reply)
    with pytest.raises(error):
        finish(mine.open(line))


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": None},
        {"challenge": b"short"},
        {"mechanism": Mechanism.LOW},
        {"title": None},
        {"title": CLIENT_TITLE},
        {"title": b"not8"},
        {"context": 1},
        {"user_information": InitiateResponse(frozenset({"get"}), 500).encode()},
    ],
)
def test_an_aare_that_weakens_what_was_asked(change: dict[str, Any]) -> None:
    mine, meter, line = party(authentication="HIGH_GMAC", security=ALL)
    meter.twist_aare = lambda aare: replace(aare, **change)
    with pytest.raises(SecurityError):
        finish(mine.open(line))


@pytest.mark.parametrize("mechanism", ["HIGH", "HIGH_MD5", "HIGH_SHA1"])
def test_our_question_to_one_meter_is_answered_to_none(mechanism: str) -> None:
    """Who has no password lets us answer our own question, in a second association."""
    first, _, line = party(authentication=mechanism)
    asked: list[bytes] = []

    def stop(apdu: bytes) -> bytes:
        asked.append(Aarq.parse(apdu).authentication or b"")
        raise LinkClosedError

    with pytest.raises(LinkClosedError):
        finish(first.open(Line(stop)))
    second, meter, line = party(authentication=mechanism)
    meter.twist_aare = lambda aare: replace(aare, challenge=asked[0])
    with pytest.raises(SecurityError, match="asks us what we asked"):
        finish(second.open(line))
    assert [apdu[0] for apdu in line.heard] == [0x60]  # we have answered nothing


def test_a_meter_that_claims_to_be_us() -> None:
    mine, meter, line = party(security=ALL)
    meter.twist_aare = lambda aare: replace(aare, title=CLIENT_TITLE)
    with pytest.raises(SecurityError, match="cannot be the meter's system title"):
        finish(mine.open(line))


def test_low_does_not_do_where_the_meter_wants_high() -> None:
    mine, meter, line = party(authentication="LOW")
    meter.twist_aare = lambda aare: replace(aare, diagnostic=14)
    with pytest.raises(RefusedError, match="authentication-required"):
        finish(mine.open(line))


def test_another_meter_than_the_configured_one() -> None:
    mine, _, line = party(security=ALL, server_system_title=b"ANOTHER1")
    with pytest.raises(SecurityError, match=r"not dlms\.serverSystemTitle"):
        finish(mine.open(line))


def test_a_meter_that_keeps_its_title_to_itself() -> None:
    mine, meter, line = party(security=ALL, server_system_title=SERVER_TITLE)
    meter.twist_aare = lambda aare: replace(aare, title=None)
    assert finish(mine.open(line)).server_system_title == SERVER_TITLE


@pytest.mark.parametrize("diagnostic", [1, 13])
def test_a_ciphered_refusal_names_the_counter(diagnostic: int) -> None:
    mine, meter, line = party(security=ALL)
    meter.twist_aare = lambda aare: replace(aare, result=1, diagnostic=diagnostic)
    with pytest.raises(RefusedError) as caught:
        finish(mine.open(line))
    assert "dlms.invocationCounter" in caught.value.hint


def test_the_counter_is_raised_once_and_asked_again() -> None:
    counter = CountUp()
    mine, meter, line = party(security=ALL, counter=counter)
    answers = iter([bytes.fromhex("D8 01 06 00 00 10 00")])
    meter.twist = lambda apdu: next(answers, apdu)
    finish(mine.open(line))
    assert counter.next() == 0x1001
    meter.twist = lambda apdu: bytes.fromhex("D8 01 06 00 00 20 00")
    with pytest.raises(CounterError):
        finish(mine.open(line))


def test_a_counter_that_is_too_high_names_the_way_out() -> None:
    mine, meter, line = party(security=ALL, counter=CountUp())
    meter.twist = lambda apdu: bytes.fromhex("D8 01 06 00 00 00 01")
    with pytest.raises(CounterError, match="wants 1") as caught:
        finish(mine.open(line))
    assert "workarounds.counterFromOne" in caught.value.hint


def test_a_counter_refused_midway_is_raised_for_the_next_association() -> None:
    counter = CountUp()
    mine, meter, line = party(security=ALL, counter=counter)
    finish(mine.open(line))
    meter.twist = lambda apdu: bytes.fromhex("D8 01 06 00 00 10 00")
    with pytest.raises(CounterError):
        ask(mine, line)
    assert counter.next() == 0x1000


@pytest.mark.parametrize("expected", ["D8 01 06", "D8 01 05"])
def test_exceptions_instead_of_an_aare(expected: str) -> None:
    mine, meter, line = party(security=ALL)
    meter.twist = lambda apdu: bytes.fromhex(expected)
    with pytest.raises((CounterError, RefusedError)):
        finish(mine.open(line))


def test_a_meter_that_cannot_decipher_the_aarq_names_the_keys() -> None:
    # gurux.dlms 4.0.47 says so to a wrong block cipher key.
    mine, meter, line = party(security=ALL)
    meter.twist = lambda apdu: bytes.fromhex("D8 02 05")
    with pytest.raises(RefusedError, match="deciphering-error") as caught:
        finish(mine.open(line))
    assert "dlms.blockCipherKey" in caught.value.hint


def test_pre_established_associations_need_no_words() -> None:
    mine, meter, line = party(
        Workarounds(pre_established=True), security=ALL, server_system_title=SERVER_TITLE
    )
    assert meter.protection is not None
    meter.protection.peer = CLIENT_TITLE
    assert "get" in finish(mine.open(line)).conformance
    assert ask(mine, line) == meter.value
    finish(mine.close(line))
    assert len(line.heard) == 1


@pytest.mark.parametrize("mechanism", ["NONE", "HIGH_GMAC"])
@pytest.mark.parametrize("dedicated", [None, bytes(16)])
def test_pre_established_associations_take_no_reply_twice(
    mechanism: str, dedicated: bytes | None
) -> None:
    counter, recorded = CountUp(), b""
    for _ in range(2):  # each association has a client of its own
        mine, meter, line = party(
            Workarounds(pre_established=True),
            counter,
            authentication=mechanism,
            security=ALL,
            server_system_title=SERVER_TITLE,
            dedicated_key=dedicated,
        )
        assert meter.protection is not None
        meter.protection.peer = CLIENT_TITLE
        if dedicated:
            meter.protection.use_dedicated(Keys(0, dedicated, authentication_key(0)))
        finish(mine.open(line))
        if not recorded:
            assert ask(mine, line) == meter.value
            recorded = line.said[-1]
    with pytest.raises(SecurityError, match="repeated"):
        mine.unprotect(recorded)


@pytest.mark.parametrize("general", [False, True])
def test_the_global_key_is_not_the_dedicated_one(general: bool) -> None:
    mine, meter, line = party(
        security=ALL,
        authentication="HIGH_GMAC",
        general_ciphering=general,
        dedicated_key=bytes(16),
    )
    finish(mine.open(line))
    assert meter.protection is not None
    sealed = meter.protection.protect(meter.value, GLOBAL)
    assert ask(mine, line) == meter.value
    with pytest.raises(SecurityError, match="global key"):
        mine.unprotect(sealed)


def test_plain_associations_do_not_take_ciphered_replies() -> None:
    mine, _, line = party()
    finish(mine.open(line))
    with pytest.raises(ProtocolError, match=r"dlms\.security is NONE"):
        mine.unprotect(bytes.fromhex("CC 05 30 00 00 00 01"))
    assert not mine.ciphered


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"authentication": "HIGH_MD5", "password": None}, ["password"]),
        ({"security": ALL, "block_cipher_key": None, "system_title": None},
         ["systemTitle", "blockCipherKey"]),
        ({"security": ALL, "authentication_key": bytes(3)}, ["authenticationKey"]),
        ({"security": ALL, "system_title": b"7 bytes"}, ["systemTitle"]),
        ({"security": "AUTHENTICATION", "dedicated_key": bytes(16)}, ["dedicatedKey"]),
        ({"authentication": "HIGH_ECDSA"}, ["signingKey", "serverSigningKey"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(fields: dict[str, Any], keys: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Association(secured(**fields), Workarounds(), None)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        f"dlms.{key}" for key in keys
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([("HIGH_GMAC", ALL), ("HIGH_MD5", "NONE"), ("LOW", "NONE")]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3),
    st.integers(0, 200),
)
def test_mutated_aares_raise_our_errors_only(
    kind: tuple[str, str], changes: list[tuple[int, int]], keep: int
) -> None:
    mine, meter, line = party(authentication=kind[0], security=kind[1])

    def twist(apdu: bytes) -> bytes:
        if apdu[0] != 0x61:
            return apdu
        mutated = bytearray(apdu)
        for where, octet in changes:
            mutated[where % len(mutated)] = octet
        return bytes(mutated[: max(keep, 1)] if keep < 60 else mutated)

    meter.twist = twist
    try:
        finish(mine.open(line))
    except DlmsError:
        return
    assert meter.proved or kind[0] == "LOW"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_noise_for_an_aare(noise: bytes, tagged: bool) -> None:
    mine, meter, line = party(authentication="LOW")
    body = bytes([0x61, len(noise)]) + noise
    meter.twist = lambda apdu: body if tagged else noise
    with pytest.raises(DlmsError):
        finish(mine.open(line))


@pytest.mark.parametrize("mechanism", ["LOW", *HIGH])
@pytest.mark.parametrize("security", ["NONE", ALL])
@pytest.mark.parametrize("fails", [None, "aare", "answer", "reply"])
def test_no_secret_shows(
    mechanism: str, security: str, fails: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    said = [SECRET, block_key(0), authentication_key(0), CLIENT_NUMBER.to_bytes(32, "big")]

    def note(answer: bytes) -> bytes:
        said.append(answer)
        return answer[:-1] if fails == "answer" else answer

    mine, meter, line = party(authentication=mechanism, security=security)
    meter.twist_answer = note
    if fails == "aare":
        meter.twist_aare = lambda aare: Aare(aare.context, 1, 13)
    text = repr(mine) + repr(vars(mine))
    with caplog.at_level(logging.DEBUG):
        try:
            finish(mine.open(line))
            meter.value = b"\x01" if fails == "reply" else meter.value
            if fails == "reply":
                meter.twist = lambda apdu: apdu[:-1]
            ask(mine, line)
        except DlmsError as error:
            frames = traceback.TracebackException.from_exception(error).format()
            text += "".join(frames) + str(error) + repr(error) + error.hint
    text += caplog.text
    for secret in said:
        assert not any(form in text for form in forms(secret))


def forms(secret: bytes) -> list[str]:
    """How octets may show in a text."""
    digits = secret.hex()
    spaced = secret.hex(" ")
    plain = secret.decode("latin-1")
    return [digits, digits.upper(), spaced, spaced.upper(), repr(secret)[2:-1], plain]


@pytest.mark.parametrize("tail", ["", "0D0100", "E6E7000D0100"])  # the last: gurux.dlms 4.0.47
def test_a_meter_that_takes_the_proof_in_a_write(tail: str) -> None:
    mine, meter, _ = party(authentication="HIGH_MD5", referencing="SN")

    def answer(apdu: bytes) -> bytes:
        if apdu[:2] == b"\x05\x01" and not meter.proved and apdu[2] == 4:
            return bytes.fromhex("D80202")
        if apdu[:1] == b"\x06":
            assert apdu[:6] == bytes.fromhex("060102FA5801")
            return meter.answer(bytes.fromhex("050104FA5800") + apdu[6:]) + bytes.fromhex(tail)
        return meter.answer(apdu)

    line = Line(answer)
    finish(mine.open(line))
    assert meter.proved
    assert [apdu[:1].hex() for apdu in line.heard] == ["60", "05", "06"]


def test_a_write_whose_success_proves_nothing() -> None:
    mine, meter, _ = party(authentication="HIGH_MD5", referencing="SN")
    replies = {0x05: bytes.fromhex("D80202"), 0x06: bytes.fromhex("0D0100")}
    line = Line(lambda apdu: replies.get(apdu[0]) or meter.answer(apdu))
    with pytest.raises(SecurityError, match="does not answer our challenge"):
        finish(mine.open(line))


def only_authenticated(meter: SecuredMeter, *tags: int) -> Callable[[bytes], bytes]:
    """Return a twist by which these replies are authenticated and not encrypted."""
    weak = Keys(0, block_key(0), authentication_key(0))

    def twist(apdu: bytes) -> bytes:
        if apdu[0] not in tags or meter.protection is None:
            return apdu
        number = int.from_bytes(apdu[3:7], "big")
        plain = weak.unseal(SERVER_TITLE, apdu[2:], 0x30).plain
        sealed = weak.seal(0x10, SERVER_TITLE, number, plain)
        return apdu[:1] + bytes([len(sealed)]) + sealed

    return twist


@pytest.mark.parametrize(
    ("accepted", "tags", "opens", "reads"),
    [
        ("never", (0xCF,), False, False),
        ("handshake", (0xCF,), True, True),
        ("handshake", (0xCF, 0xCC), True, False),
        ("always", (0xCF, 0xCC), True, True),
    ],
)
def test_replies_that_are_authenticated_and_not_encrypted(
    accepted: Any, tags: tuple[int, ...], opens: bool, reads: bool
) -> None:
    workarounds = Workarounds(authenticated_replies=accepted)
    mine, meter, line = party(workarounds, authentication="HIGH_GMAC", security=ALL)
    meter.twist = only_authenticated(meter, *tags)
    errors = []
    for step in (lambda: finish(mine.open(line)), lambda: ask(mine, line)):
        try:
            step()
        except SecurityError as error:
            errors.append(error)
            break
    assert bool(errors) is not (opens and reads)
    for found in errors:
        assert "less protected than agreed (security 10)" in str(found)
        assert "workarounds.authenticatedReplies" in found.hint


def test_replies_that_are_not_authenticated_are_never_taken() -> None:
    mine, meter, line = party(
        Workarounds(authenticated_replies="always"), authentication="HIGH_GMAC", security=ALL
    )
    finish(mine.open(line))
    sealed = Keys(0, block_key(0)).seal(0x20, SERVER_TITLE, 1000, meter.value * 3)
    with pytest.raises(SecurityError, match="less protected"):
        mine.unprotect(b"\xcc" + bytes([len(sealed)]) + sealed)
    forged = meter.keys.seal(0x10, SERVER_TITLE, 1001, meter.value)
    with pytest.raises(SecurityError, match="tag is wrong"):
        mine.unprotect(b"\xcc" + bytes([len(forged)]) + forged[:-1] + b"\x00")


@pytest.mark.parametrize("general", [False, True])
def test_pushes_between_ciphered_answers_cost_nothing(general: bool) -> None:
    """Also those under another key, an old counter, or another sender."""
    mine, meter, line = party(authentication="HIGH_GMAC", security=ALL, general_ciphering=general)
    heard: list[bytes] = []
    remarks = Remarks(on_unasked=heard.append)
    finish(mine.open(line))
    push = bytes.fromhex("0F 40000001 00 02 01 11 05")
    old = meter.keys.seal(0x30, SERVER_TITLE, 0, push)
    ahead = meter.keys.seal(0x30, SERVER_TITLE, 9_000_000, push)
    other = Keys(0, bytes(16), bytes(16)).seal(0x30, SERVER_TITLE, 77, push)
    wrapped = [b"\xdb\x08" + SERVER_TITLE + bytes([len(one)]) + one for one in (old, ahead, other)]
    wrapped.append(b"\xdb\x08STRANGER" + bytes([len(old)]) + old)
    answers: list[bytes] = []

    class Pushing(Line):
        def receive(self) -> Talk[bytes]:
            yield from ()
            return answers.pop(0)

        def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
            answer = yield from super().exchange(apdu, repeatable=repeatable)
            answers[:] = [*wrapped, answer]
            return answers.pop(0)

    pushing = Pushing(meter.answer)
    conversation = Conversation(pushing, mine, remarks=remarks)
    for _ in range(2):
        assert finish(conversation.ask(GET, "reading")) == meter.value
    assert heard == wrapped * 2


def test_a_title_that_is_only_in_the_ciphered_user_information() -> None:
    def hide(aare: Aare) -> Aare:
        sealed = aare.user_information or b""
        general = b"\xdb\x08" + SERVER_TITLE + sealed[1:]
        return replace(aare, title=None, user_information=general)

    mine, meter, line = party(security=ALL)
    meter.twist_aare = hide
    assert finish(mine.open(line)).server_system_title == SERVER_TITLE


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("behind", [b"", b"\0"])
def test_a_ciphered_aare_with_a_wrong_length(by: int, behind: bytes) -> None:
    def twist(apdu: bytes) -> bytes:
        return apdu[:1] + bytes([apdu[1] + by]) + apdu[2:] + behind if apdu[0] == 0x61 else apdu

    mine, meter, line = party(authentication="HIGH_GMAC", security=ALL)
    meter.twist = twist
    finish(mine.open(line))
    assert ask(mine, line) == meter.value


def test_another_mechanism_than_was_asked_for_names_the_key() -> None:
    mine, meter, line = party(authentication="HIGH")
    meter.twist_aare = lambda aare: replace(aare, mechanism=5)
    with pytest.raises(SecurityError, match="HIGH_GMAC instead of HIGH") as caught:
        finish(mine.open(line))
    assert "dlms.authentication" in caught.value.hint


def test_less_or_other_ciphering_than_was_asked_for_names_the_key() -> None:
    for context, key in ((1, "dlms.security"), (4, "dlms.referencing")):
        mine, meter, line = party(security=ALL)
        meter.twist_aare = partial(replace, context=context)
        with pytest.raises(SecurityError) as caught:
            finish(mine.open(line))
        assert key in caught.value.hint
