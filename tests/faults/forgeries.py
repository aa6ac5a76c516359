"""What somebody between meter and connector, or in the meter's place, may send for a reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from dlms_connector.protocol.acse.acse import AARE, Aare, Aarq
from dlms_connector.simulator import Meter
from dlms_connector.simulator.security.ciphering import Keys
from tests.faults.forms import OUR_TITLE, Form

_TAG = 12
_TITLED = 10  # the tag of general ciphering, the length and the title
_GENERAL = (0xDB, 0xDC)
_GET_RESPONSES = (0xCC, 0xD4, *_GENERAL)
_ANOTHER = b"ANOTHER1"
#: A value that the meter never held.
_VALUE_IN_CLEAR = bytes.fromhex("C401C100060BADBEEF")


@dataclass
class Heard:
    """What has passed so far: each association is a list of requests and replies."""

    form: Form
    meter: Meter
    rng: Random
    associations: list[list[tuple[bytes, bytes]]] = field(default_factory=list)

    def note(self, request: bytes, reply: bytes) -> None:
        """Note what the meter said."""
        if request[:1] == b"\x60" or not self.associations:
            self.associations.append([])
        self.associations[-1].append((request, reply))

    @property
    def step(self) -> int:
        """Which request of the association is answered now."""
        return len(self.associations[-1]) - 1


#: Returns what is sent in place of a reply; None to leave it as it is.
Forge = Callable[[Heard, bytes, bytes], "Sequence[bytes] | None"]


def _of_value(change: Callable[[Heard, bytes, bytes], bytes]) -> Forge:
    """Return what changes each reply that holds the value, also if it is asked for again."""

    def forge(heard: Heard, request: bytes, reply: bytes) -> Sequence[bytes] | None:
        within = heard.step >= (2 if heard.form.mechanism.startswith("HIGH") else 1)
        return [change(heard, request, reply)] if within and reply[0] in _GET_RESPONSES else None

    return forge


def _of_aare(change: Callable[[Heard, Aarq, Aare], Aare]) -> Forge:
    def forge(heard: Heard, request: bytes, reply: bytes) -> Sequence[bytes] | None:
        if reply[0] != AARE:
            return None
        return [change(heard, Aarq.parse(request), Aare.parse(reply)).encode()]

    return forge


def _parts(apdu: bytes) -> tuple[int, int]:
    """Return where the security control is, and where the tag begins."""
    at = _TITLED if apdu[0] in _GENERAL else 1
    return at + 1, len(apdu) - _TAG


def _resized(apdu: bytes, sealed: bytes) -> bytes:
    """Return an APDU with other ciphered content."""
    at = _TITLED if apdu[0] in _GENERAL else 1
    return apdu[:at] + bytes((len(sealed),)) + sealed


def _flip(apdu: bytes, at: int, rng: Random) -> bytes:
    changed = bytearray(apdu)
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_control(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return _flip(reply, _parts(reply)[0], heard.rng)


def _flip_counter(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return _flip(reply, _parts(reply)[0] + heard.rng.randrange(1, 5), heard.rng)


def _flip_content(heard: Heard, _: bytes, reply: bytes) -> bytes:
    start, end = _parts(reply)
    return _flip(reply, heard.rng.randrange(start + 5, end), heard.rng)


def _flip_tag(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return _flip(reply, heard.rng.randrange(_parts(reply)[1], len(reply)), heard.rng)


def _zero_tag(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return reply[:-_TAG] + bytes(_TAG)


def _cut_tag(heard: Heard, _: bytes, reply: bytes) -> bytes:
    start, _end = _parts(reply)
    return _resized(reply, reply[start : -heard.rng.randrange(1, _TAG + 1)])


def _strip(heard: Heard, _: bytes, reply: bytes) -> bytes:
    """Take the tag off, and say that there is none: the octets are still well encrypted."""
    start, end = _parts(reply)
    control = reply[start] & ~0x10
    return _resized(reply, bytes((control,)) + reply[start + 1 : end])


def _in_clear(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return _VALUE_IN_CLEAR


def _other_suite(heard: Heard, _: bytes, reply: bytes) -> bytes:
    start, _end = _parts(reply)
    changed = bytearray(reply)
    changed[start] = changed[start] & 0xF0 | (heard.form.suite + 1) % 3
    return bytes(changed)


def _other_sender(heard: Heard, _: bytes, reply: bytes) -> bytes:
    return reply[:2] + _ANOTHER + reply[_TITLED:]


def _reflected(heard: Heard, request: bytes, reply: bytes) -> bytes:
    """Send our own request back, as an answer."""
    return reply[:1] + request[1:]


def _global(heard: Heard, request: bytes, reply: bytes) -> bytes:
    """Answer with the global key, as in an association that had no other."""
    options = heard.meter.options
    keys = Keys(options.title(), options.block_cipher_key, options.authentication_key)
    start, _end = _parts(reply)
    number = 50_000
    plain = bytes.fromhex("C401C1000600000001")
    sealed = reply[start : start + 1] + number.to_bytes(4, "big")
    sealed += keys.seal(reply[start], number, plain)
    if heard.form.is_general:
        return b"\xdb" + reply[1:_TITLED] + bytes((len(sealed),)) + sealed
    return b"\xcc" + bytes((len(sealed),)) + sealed


def _before(heard: Heard, request: bytes, reply: bytes) -> bytes:
    """Repeat a reply of the same association: the meter's proof."""
    return heard.associations[-1][1][1]


def _of_another_association(heard: Heard, request: bytes, reply: bytes) -> bytes:
    earlier = heard.associations[-2]
    return earlier[min(heard.step, len(earlier) - 2)][1]


def _twice(heard: Heard, request: bytes, reply: bytes) -> Sequence[bytes] | None:
    """Send what was recorded before the true reply."""
    if reply[0] not in _GET_RESPONSES or len(heard.associations) < 2:
        return None
    return [_of_another_association(heard, request, reply), reply]


def _played_back(heard: Heard, request: bytes, reply: bytes) -> Sequence[bytes] | None:
    """Answer all of an association with what was recorded in the first one."""
    first = heard.associations[0]
    return [first[min(heard.step, len(first) - 1)][1]]


def _aare_flipped(heard: Heard, _: Aarq, aare: Aare) -> Aare:
    assert aare.user_information is not None
    at = heard.rng.randrange(2, len(aare.user_information))
    return replace(aare, user_information=_flip(aare.user_information, at, heard.rng))


def _aare_in_clear(heard: Heard, _: Aarq, aare: Aare) -> Aare:
    plain = bytes.fromhex("0800065F1F0400FFFFFF03E80007")
    return replace(aare, user_information=plain)


def _aare_of_another(heard: Heard, _: Aarq, aare: Aare) -> Aare:
    return replace(aare, title=_ANOTHER)


def _aare_of_ours(heard: Heard, _: Aarq, aare: Aare) -> Aare:
    return replace(aare, title=OUR_TITLE)


def _aare_unproved(heard: Heard, _: Aarq, aare: Aare) -> Aare:
    return replace(aare, diagnostic=0, mechanism=None, challenge=None)


def _challenge_reflected(heard: Heard, aarq: Aarq, aare: Aare) -> Aare:
    return replace(aare, challenge=aarq.authentication)


def _all(form: Form) -> bool:
    return True


def _tagged(form: Form) -> bool:
    return form.has_tag


def _high(form: Form) -> bool:
    return form.mechanism.startswith("HIGH")


@dataclass(frozen=True)
class Forgery:
    """Something forged: what is sent, or a fault of the meter that sends it."""

    name: str
    does: str
    forge: Forge | None
    fits: Callable[[Form], bool] = _all
    fault: str = ""
    #: Whether the true reply comes too: then nothing may be lost.
    beside: bool = False
    #: Whether the connector is started anew before.
    restart: bool = False


FORGERIES = {
    one.name: one
    for one in (
        Forgery("flip-control", "a bit of the security control", _of_value(_flip_control)),
        Forgery("flip-counter", "a bit of the invocation counter", _of_value(_flip_counter)),
        Forgery("flip-content", "a bit of the content", _of_value(_flip_content), _tagged),
        Forgery("flip-tag", "a bit of the tag", _of_value(_flip_tag), _tagged),
        Forgery("zero-tag", "a tag of zeros", _of_value(_zero_tag), _tagged),
        Forgery("cut-tag", "a tag without its last octets", _of_value(_cut_tag), _tagged),
        Forgery("strip", "the tag taken off, and said to be none", _of_value(_strip), _tagged),
        Forgery("in-clear", "a value in clear", _of_value(_in_clear)),
        Forgery("other-suite", "another security suite", _of_value(_other_suite)),
        Forgery(
            "other-sender",
            "the system title of another meter",
            _of_value(_other_sender),
            lambda form: form.is_general,
        ),
        Forgery("reflected", "our own request as the reply", _of_value(_reflected)),
        Forgery(
            "global-key",
            "the global key in place of the dedicated one",
            _of_value(_global),
            lambda form: form.is_dedicated,
        ),
        Forgery(
            "same-association",
            "an earlier reply of the same association",
            _of_value(_before),
            _high,
        ),
        Forgery(
            "other-association",
            "the reply of an earlier association",
            _of_value(_of_another_association),
        ),
        Forgery(
            "before-the-true-one",
            "the reply of an earlier association, and then the true one",
            _twice,
            beside=True,
        ),
        Forgery(
            "before-a-restart",
            "all of an association that was recorded before a restart",
            _played_back,
            _tagged,
            restart=True,
        ),
        Forgery("aare-flipped", "a bit of what the AARE carries", _of_aare(_aare_flipped), _tagged),
        Forgery("aare-in-clear", "an AARE whose content is in clear", _of_aare(_aare_in_clear)),
        Forgery("aare-of-another", "the title of another meter in the AARE",
                _of_aare(_aare_of_another), _tagged),
        Forgery("aare-of-ours", "our own title in the AARE", _of_aare(_aare_of_ours)),
        Forgery("aare-unproved", "acceptance without the meter's proof",
                _of_aare(_aare_unproved), _high),
        Forgery("challenge-reflected", "our challenge as the meter's",
                _of_aare(_challenge_reflected), _high),
        Forgery("wrong-proof", "a wrong answer to our challenge", None, _high,
                fault="wrong-server-challenge"),
        Forgery("proof-reflected", "our answer as the meter's", None, _high,
                fault="reflected-proof"),
    )
}  # fmt: skip
