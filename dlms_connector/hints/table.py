"""The one table of hints: what a failure looked like, and what to try.

A row is chosen by facts: the place that meets a failure knows what came back, and names the
symptom; nothing here looks into messages. Facts in braces are given with the symptom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dlms_connector.hints.symptom import Symptom


@dataclass(frozen=True, slots=True)
class Hint:
    """A row: what was seen, in the words of somebody who looks for it, and what to try."""

    seen: str
    remedy: str
    #: Options of `discover` in place of the keys that the remedy names.
    options: str = ""


_WAY: dict[Symptom, Hint] = {
    Symptom.UNREACHABLE: Hint(
        "the connection cannot be made",
        "check host, port and cabling, and whether another client holds the connection",
    ),
    Symptom.NOBODY_LISTENS: Hint(
        "the host refuses the connection",
        "the host is there, but nothing listens at this port: check connection.port (4059 for "
        "meters with their own network, the converter's setting else); a converter that is in use "
        "refuses too, because it allows one client only",
    ),
    Symptom.NO_ROUTE: Hint(
        "no route to the host, or its network",
        "check connection.host and the gateway's routes (VPN, VLAN, default gateway); a meter in "
        "the same network that is switched off looks like this too",
    ),
    Symptom.NO_CONNECT_ANSWER: Hint(
        "nothing answers the connection",
        "nothing answers at this address: check connection.host, firewalls, and whether the meter "
        "or modem has power and network; slow modems need a larger connection.connectTimeoutMs",
    ),
    Symptom.NAME_UNKNOWN: Hint(
        "the host name is not known",
        "check connection.host for a typing error, and the name server of the gateway's host or "
        "container; an address in numbers needs none",
    ),
    Symptom.PORT_MISSING: Hint(
        "the serial port does not exist",
        "check connection.port and the adapter's cable; in a container the device must be passed "
        "in (`--device`); names under /dev/serial/by-id stay the same after a restart",
    ),
    Symptom.PORT_DENIED: Hint(
        "the serial port may not be opened",
        "the gateway's user may not open the port: add it to the group that owns it (often "
        "`dialout`) and restart the gateway",
    ),
    Symptom.PORT_BUSY: Hint(
        "the serial port is in use",
        "another program has the port open: `fuser` names it; ModemManager and a second connector "
        "are frequent",
    ),
    Symptom.CANNOT_LISTEN: Hint(
        "the port cannot be listened at",
        "another program uses this port (`ss -ltnp`), or it is below 1024 and needs rights: "
        "choose another one, or end that program",
    ),
    Symptom.NOT_ALLOWED: Hint(
        "the gateway may not connect there",
        "this gateway's process connects only to what stands in its environment variable "
        "DLMS_ALLOW_HOSTS: add the network, host name or serial port there and restart the "
        "gateway, or correct the connection",
    ),
    Symptom.NOT_CALLED_IN: Hint(
        "the meter has to dial in and does not",
        "check which address and port the meter calls, and its network; callers that are not "
        "recognised are named in the log",
    ),
    Symptom.HUNG_UP: Hint(
        "the peer closes the connection without an answer",
        "some meters allow one client only, or close when the client address is unknown to them",
    ),
    Symptom.HUNG_UP_WITHIN: Hint(
        "the peer closes the connection in the middle of a reply",
        "the meter answers, so its address is right: a modem that loses its network, a converter "
        "with a short idle time, or a second client that takes the connection over cut it off",
    ),
}

_FRAMES: dict[Symptom, Hint] = {
    Symptom.SILENCE: Hint(
        "nothing comes back",
        "silence usually means a wrong address (clientAddress, logicalAddress, physicalAddress) "
        "or interfaceType; a slow meter needs a larger connection.timeoutMs",
    ),
    Symptom.SILENCE_TO_ASSOCIATION: Hint(
        "the HDLC link is set up (UA), and the AARQ is not answered",
        "the meter set up the link, so its address and the line are right: check "
        "dlms.clientAddress, dlms.authentication and dlms.security, as some meters do not answer "
        "what they refuse; a slow meter needs a larger connection.timeoutMs",
    ),
    Symptom.SILENCE_IN_SESSION: Hint(
        "the meter has answered in this session, and then does not",
        "the meter answered before in this session, so addresses and keys are right: a slow meter "
        "needs a larger connection.timeoutMs; some are silent where an object is too large for "
        "them (workarounds.maxPdu), or drop an idle session (workarounds.inactivityTimeoutMs)",
    ),
    Symptom.SLOW: Hint(
        "bytes come, but no complete reply in time",
        "it answers, but not completely in time: give it a larger connection.timeoutMs, or ask for "
        "less at once",
    ),
    Symptom.UNREADY: Hint(
        "the meter acknowledges (RR) and has no answer",
        "it hears us, so its address is right: what takes it so long may need a larger "
        "connection.timeoutMs, or less may be asked for; if it never answers, it hangs",
    ),
    Symptom.CUT_SHORT: Hint(
        "a frame begins and does not end",
        "the reply began and did not end: a slow line needs a larger connection.timeoutMs; a meter "
        "or converter that cuts replies short may need a smaller workarounds.maxPdu",
    ),
    Symptom.ECHO: Hint(
        "what we sent comes back, and nothing else",
        "the line returns what we send and no meter answers: on two wires an echo is normal, so "
        "check the wiring behind the converter (A and B swapped, no power at the meter) and the "
        "meter's address; a converter in loop-back or console mode looks like this too",
    ),
    Symptom.OTHER_SENDER: Hint(
        "the answer comes from another address than the one that was asked",
        "a meter answers from another address: set {address} under `dlms` if it is the one that is "
        "meant",
    ),
    Symptom.OTHERS_SESSION: Hint(
        "whole frames come, but for another client",
        "whole frames came, so framing and line are right: another client's session is open "
        "there. End the other program, or wait until the meter ends its session by itself (its "
        "inactivity timeout, often 120 s); or dlms.clientAddress is not the one it answers",
    ),
    Symptom.LOOKS_LIKE_WRAPPER: Hint(
        "the header of the wrapper comes where HDLC is expected (`00 01 …`)",
        "it looks like the wrapper: set dlms.interfaceType WRAPPER",
        "--interface WRAPPER",
    ),
    Symptom.LOOKS_LIKE_HDLC: Hint(
        "an HDLC frame comes where the wrapper is expected (`7e a0 …`)",
        "it looks like HDLC: set dlms.interfaceType HDLC",
        "--interface HDLC",
    ),
    Symptom.IDENTIFICATION: Hint(
        "an identification comes where frames are expected (`/ABC5…`)",
        "it is IEC 62056-21, the language of optical ports: set dlms.interfaceType "
        "HDLC_WITH_MODE_E, or IEC_62056_21 for a meter without mode E",
        "--interface HDLC_WITH_MODE_E",
    ),
    Symptom.TEXT: Hint(
        "readable text comes where frames are expected",
        "a modem, a converter or another program on the line answers in place of the meter: what "
        "the text says tells which; check host and port, and that the converter passes bytes on "
        "as they are",
    ),
    Symptom.SEVEN_BITS: Hint(
        "frames come without their highest bits (`7e 20 …` instead of `7e a0 …`)",
        "bit 7 is missing in all that came: the converter or port is set to 7 data bits; HDLC "
        "needs 8 data bits without parity (8N1)",
    ),
    Symptom.PARITY: Hint(
        "text comes with its parity in bit 7",
        "text came with parity in bit 7: the line is set to 8N1, and the meter talks 7E1 "
        "(IEC 62056-21): set dlms.interfaceType HDLC_WITH_MODE_E, which begins so, and let the "
        "converter follow",
        "--interface HDLC_WITH_MODE_E",
    ),
    Symptom.DAMAGED: Hint(
        "HDLC frames come whose check is wrong",
        "the meter answers, but its frames are damaged: check that nothing on the way changes "
        "bytes (flow control by XON and XOFF off, 0xFF not doubled, telnet mode off), then "
        "wiring, termination, and a second talker on the line",
    ),
    Symptom.NO_FRAME: Hint(
        "bytes come that are no frames",
        "bytes came that are no frames: check baud rate and parity, at the converter too, then "
        "dlms.interfaceType, and a second talker on the line",
    ),
    Symptom.SWAPPED_HEADER: Hint(
        "the header of the wrapper begins `01 00` instead of `00 01`",
        "the meter sends the octets of each field in the other order: set "
        "workarounds.wrapperByteOrder to `little`, or to `littleReplies` if it takes requests as "
        "the standard has them",
    ),
    Symptom.FRAMES_REJECTED: Hint(
        "the meter rejects I frames (FRMR)",
        "the meter does not take APDUs in numbered frames, or not with these numbers: try "
        "workarounds.connectionless, which sends them in UI frames",
    ),
    Symptom.COMMAND_REJECTED: Hint(
        "the meter rejects SNRM or DISC (FRMR)",
        "some meters want parameters in SNRM (workarounds.maxInfoReceive, windowReceive …), others "
        "no SNRM (workarounds.skipSnrm)",
    ),
    Symptom.FRAME_TOO_LONG: Hint(
        "the meter rejects a frame as too long (FRMR)",
        "set workarounds.maxInfoTransmit lower",
    ),
    Symptom.MISNUMBERED: Hint(
        "numbered frames come with the wrong number",
        "for a meter that does not count its frames, set workarounds.uncountedFrames; late answers "
        "and a second client on the line look like this too",
    ),
    Symptom.NOISE: Hint(
        "frames or octets without end, or frames that fit nothing",
        "line noise, two talkers on one line or a wrong interfaceType look like this",
    ),
    Symptom.HELD: Hint(
        "the meter answers SNRM by DM (disconnected mode)",
        "another client may have a session open, which ends after the meter's inactivity timeout; "
        "check dlms.clientAddress too",
    ),
    Symptom.ANSWERS_DISC: Hint(
        "the meter answers DISC, and no SNRM",
        "the meter answers DISC, so its address is right: another client may have a session open, "
        "or the meter ignores SNRM after a DISC: see workarounds.clearFirst",
    ),
    Symptom.DROPPED: Hint(
        "the meter answers a request by DM: it has no session",
        "the meter ended the session meanwhile: its inactivity timeout is short "
        "(workarounds.inactivityTimeoutMs), it restarted, or another client took its place",
    ),
    Symptom.LATE_ANSWER: Hint(
        "one answer more than was asked for",
        "an answer came after its time: a larger connection.timeoutMs lets it come in time; two "
        "clients on one connection look like this too",
    ),
}

_OPTICAL: dict[Symptom, Hint] = {
    Symptom.READOUT: Hint(
        "an ASCII readout comes behind the identification, and no HDLC",
        "the meter sends its readout in ASCII (IEC 62056-21 modes A to D): dlms.interfaceType "
        "IEC_62056_21 reads that; if the meter speaks DLMS/COSEM at this port too, "
        "dlms.modeE.address may select it",
    ),
    Symptom.SIGNED_ON: Hint(
        "the meter identifies itself, and then answers no frame",
        "the meter identified itself as {identification}, and then answered no frame: check "
        "dlms.physicalAddress and dlms.clientAddress, and that the converter or optical head "
        "follows the change to another rate and to 8N1",
    ),
    Symptom.NO_IDENTIFICATION: Hint(
        "text comes that is no identification",
        "check the baud rate (dlms.modeE.startBaudrate), and what else is on the line",
    ),
    Symptom.READOUT_DAMAGED: Hint(
        "a readout is cut short, or its check is wrong",
        "check that the optical head sits well, connection.timeoutMs, and whether the meter needs "
        "another first rate (dlms.modeE.startBaudrate) or address (dlms.modeE.address)",
    ),
    Symptom.NOT_IN_READOUT: Hint(
        "a code is not in the readout", "the readout has these codes: {codes}"
    ),
    Symptom.NO_SUCH_READOUT_VALUE: Hint(
        "a data set of the readout has fewer values",
        "the data set {code} has {count} values: attribute 2 is its value, attribute 5 the time "
        "that stands behind it",
    ),
}

_GUESSING = "do not guess, meters lock out guessers"

_ASSOCIATION: dict[Symptom, Hint] = {
    Symptom.REFUSED: Hint("the meter refuses", "check authentication, password and clientAddress"),
    Symptom.OTHER_CONTEXT: Hint(
        "`application-context-name-not-supported`",
        "check dlms.referencing (LN or SN) and dlms.security: the meter wants the other kind, "
        "or ciphering where there is none",
    ),
    Symptom.OTHER_NAMES: Hint(
        "the AARE names the context of the other referencing",
        "set dlms.referencing to {referencing}; if the meter has both kinds of names, check "
        "dlms.clientAddress and dlms.logicalAddress",
    ),
    Symptom.WANTS_CLEAR: Hint(
        "the AARE names a context without ciphering",
        "check dlms.security: for this dlms.clientAddress the meter names an association without "
        "ciphering; if it should cipher, somebody may be on the line",
    ),
    Symptom.WANTS_CIPHERING: Hint(
        "the AARE names a context with ciphering",
        "check dlms.security: the meter wants ciphering for this dlms.clientAddress",
    ),
    Symptom.UNKNOWN_CLIENT: Hint(
        "`calling-AP-title-not-recognized`",
        "check dlms.clientAddress, which the meter does not know, and dlms.systemTitle where "
        "there is one",
    ),
    Symptom.OTHER_MECHANISM: Hint(
        "`authentication-mechanism-name-not-recognised`",
        "check dlms.authentication: the meter knows this mechanism not, or not for this "
        "dlms.clientAddress",
    ),
    Symptom.MECHANISM_REQUIRED: Hint(
        "`authentication-mechanism-name-required`",
        "set dlms.authentication: this dlms.clientAddress needs one",
    ),
    Symptom.AUTHENTICATION_REQUIRED: Hint(
        "`authentication-required`",
        "set dlms.authentication: this dlms.clientAddress needs LOW or one of the HIGH mechanisms",
    ),
    Symptom.AUTHENTICATION_FAILED: Hint(
        "`authentication-failure`, or the proof is refused",
        "check dlms.password (for HIGH_GMAC: dlms.authenticationKey and dlms.blockCipherKey; for "
        f"HIGH_ECDSA: dlms.signingKey); {_GUESSING}",
    ),
    Symptom.AUTHENTICATION_FAILED_CIPHERED: Hint(
        "`authentication-failure` where ciphering is agreed",
        "check dlms.password (for HIGH_GMAC: dlms.authenticationKey and dlms.blockCipherKey; for "
        f"HIGH_ECDSA: dlms.signingKey); {_GUESSING}; check dlms.invocationCounter too: to some "
        "meters a counter lower than theirs is a failure of authentication",
    ),
    Symptom.NO_ASSOCIATION: Hint(
        "the meter's ACSE refuses (service provider)",
        "check dlms.clientAddress, and dlms.interfaceType: the meter's ACSE knows no such "
        "association",
    ),
    Symptom.NO_REASON: Hint(
        "`no-reason-given`, or an exception instead of an AARE",
        "check dlms.clientAddress, dlms.authentication and dlms.password; an association that an "
        "earlier session left open goes away with the meter's inactivity timeout",
    ),
    Symptom.NO_REASON_CIPHERED: Hint(
        "`no-reason-given` where ciphering is agreed, or `deciphering-error`",
        "check dlms.clientAddress, dlms.systemTitle, dlms.authenticationKey, dlms.blockCipherKey "
        "and dlms.invocationCounter: a counter lower than the meter's looks like this",
    ),
    Symptom.NO_PROOF: Hint(
        "the meter accepts without its part of a HIGH authentication",
        "check dlms.authentication: the meter uses another mechanism for this "
        "dlms.clientAddress; check the keys and system titles; if they are right, somebody may be "
        "on the line",
    ),
}

_CIPHERING: dict[Symptom, Hint] = {
    Symptom.KEYS: Hint(
        "a reply is not what was agreed",
        "check the keys and system titles; if they are right, somebody may be on the line",
    ),
    Symptom.WRONG_TAG: Hint(
        "the tag of a reply is wrong",
        "check dlms.authenticationKey and dlms.blockCipherKey, then dlms.securitySuite and "
        "dlms.serverSystemTitle; if they are right, somebody may be on the line",
    ),
    Symptom.IN_CLEAR: Hint(
        "a reply comes in clear where ciphering is agreed",
        "check dlms.security: this dlms.clientAddress may be one that does not cipher; if it "
        "should, somebody may be on the line",
    ),
    Symptom.CIPHERED: Hint(
        "a reply is ciphered where none was asked for",
        "set dlms.security, the keys and dlms.systemTitle: the meter ciphers for this "
        "dlms.clientAddress",
    ),
    Symptom.WEAKER: Hint(
        "a reply is authenticated and not encrypted",
        "the meter authenticates this reply and does not encrypt it: set dlms.security to what the "
        "meter does, or accept it by workarounds.authenticatedReplies, and whoever listens can "
        "read such replies",
    ),
    Symptom.OTHER_SUITE: Hint(
        "a reply uses another security suite",
        "set dlms.securitySuite to {suite}, with keys of its length",
    ),
    Symptom.OTHER_TITLE: Hint(
        "a reply names another system title",
        "check dlms.serverSystemTitle: the meter may have been replaced, or another one answers at "
        "this address",
    ),
    Symptom.NO_TITLE: Hint(
        "the meter does not tell its system title",
        "set dlms.serverSystemTitle; it is printed on many meters, or its owner knows it",
    ),
    Symptom.COUNTER_BACK: Hint(
        "a reply's invocation counter is lower than one before",
        "a reply that was recorded earlier looks like this; if the meter's own counter began again "
        "(new firmware, or new keys with an old configuration), set "
        "workarounds.serverCounterRestarts",
    ),
    Symptom.COUNTER_SAME: Hint(
        "replies carry always the same invocation counter",
        "a reply that was repeated on the way looks like this, once; a meter that sends the same "
        "counter with each reply or in each association does not count: "
        "workarounds.serverCounterRestarts lets it begin again with each association, and nothing "
        "tells a replay from a reply within one",
    ),
    Symptom.COUNTER_UNPROVEN: Hint(
        "a counter that is not authenticated leaps or goes back",
        "dlms.security ENCRYPTION does not authenticate the meter's counter, so that anybody on "
        "the line can send a false one; the next association begins anew. Use "
        "AUTHENTICATION_ENCRYPTION",
    ),
    Symptom.COUNTER_LOW: Hint(
        "the meter refuses our invocation counter",
        "set dlms.invocationCounter so that the counter is read from the meter; if it keeps "
        "happening, another client uses the same key, or the meter counts from 1 in each "
        "association and needs workarounds.counterFromOne",
    ),
    Symptom.COUNTER_FROM_ONE: Hint(
        "the meter wants our invocation counter to be 0 or 1",
        "a counter that begins again is one of the association: the meter counts from 1 in each "
        "and needs workarounds.counterFromOne",
    ),
    Symptom.COUNTER_ASKED_ALWAYS: Hint(
        "the meter asks for the same invocation counter again and again",
        "the meter asks for the same number each time: it counts from there in each association "
        "and needs workarounds.counterFromOne, or it does not take this key: check "
        "dlms.blockCipherKey and dlms.authenticationKey",
    ),
    Symptom.COUNTER_SHARED: Hint(
        "the meter asks for a higher invocation counter again",
        "another client may be using the same system title and key",
    ),
    Symptom.COUNTER_LEAPS: Hint(
        "the meter tells a counter that is very far ahead",
        "if the meter really is that far, restart the gateway, which allows another jump, or "
        "change the meter's keys",
    ),
    Symptom.NO_COUNTER: Hint(
        "the public client cannot read the invocation counter",
        "check dlms.invocationCounter, and whether client 16 may read it",
    ),
    Symptom.COUNTER_UNLIKE: Hint(
        "the invocation counter is read twice, and differs",
        "the public client is not authenticated: one of the replies may be forged",
    ),
}

_ANSWERS: dict[Symptom, Hint] = {
    Symptom.MALFORMED: Hint(
        "an answer comes whole, and is not as the standard has it",
        "the meter's answer came whole and differs from the standard: `read --trace FILE` keeps "
        "it, without secrets, for a report; meanwhile read other objects, or ask for this one "
        "alone",
    ),
    Symptom.TEXT_FOR_APDU: Hint(
        "readable text comes instead of an APDU",
        "a modem, a converter or another program on the line answers in place of the meter",
    ),
    Symptom.EXCESS: Hint(
        "a reply holds more than its question can need",
        "ask for less, and check what the object holds",
    ),
    Symptom.UNSUPPORTED: Hint(
        "the meter answers by an exception",
        "the meter may not support this service or these rights",
    ),
    Symptom.OBJECT_REFUSED: Hint(
        "the meter refuses an object",
        "check the object's OBIS code, class and attribute, and this client's access rights",
    ),
    Symptom.DENIED: Hint(
        "`read-write-denied`, `scope-of-access-violated`",
        "this client may not do that: another dlms.clientAddress, or a higher "
        "dlms.authentication, may; check the object's attribute too",
    ),
    Symptom.UNDEFINED: Hint(
        "`object-undefined`",
        "the meter has no such object for this client: check its OBIS code (channel B: 1-0 or "
        "1-1), class and attribute; `dlms-connector discover` lists what it has",
    ),
    Symptom.OTHER_CLASS: Hint(
        "`object-class-inconsistent`",
        "the object is there with another class: set `class` of the item; `dlms-connector "
        "discover` tells it",
    ),
    Symptom.UNAVAILABLE: Hint(
        "`object-unavailable`",
        "the object is there and has no value now: a phase that is not connected, or a function "
        "that is switched off; check its OBIS code if it never has one",
    ),
    Symptom.TEMPORARY: Hint(
        "`temporary-failure`",
        "the meter is busy; it is asked again at the next poll. If it stays so, poll less often",
    ),
    Symptom.OTHER_TYPE: Hint(
        "`type-unmatched`",
        "the meter wants another type: give `type` with the value, as reading the object shows it",
    ),
    Symptom.NO_SCALER: Hint(
        "the meter gives a value but no scaler",
        "set `scaler` and `unit` of the item in the configuration",
    ),
    Symptom.TOO_LARGE: Hint(
        "a value is too large to be read or sent",
        "ask for less of it: rows of a profile are read by the call `readProfile`, which takes a "
        "range of time",
    ),
}

_PUSHES: dict[Symptom, Hint] = {
    Symptom.PUSH_STRANGER: Hint(
        "a push comes from a meter that is not configured",
        "add a device with push.systemTitle, push.logicalDeviceName or push.peer, or autoCreate",
    ),
    Symptom.PUSH_SILENCE: Hint(
        "a meter that pushes has not for too long",
        "check the meter's push schedule and its network",
    ),
    Symptom.PUSH_UNMAPPED: Hint(
        "nothing tells what the values of a push are",
        "set push.layouts to a layout with as many objects, in the order of the push setup "
        "(0-0:25.9.0 attribute 2)",
    ),
    Symptom.PUSH_REPEATED: Hint(
        "the invocation counter of a push is not above the last one",
        "a push that was recorded earlier looks like this, and so does one that was repeated; if "
        "the meter's counter began again, it needs new keys, or workarounds.serverCounterRestarts",
    ),
    Symptom.PUSH_AUTHENTICATED: Hint(
        "a push is authenticated, and no authentication key is configured",
        "the meter authenticates its pushes: set dlms.authenticationKey",
    ),
    Symptom.PUSH_KEY_MADE: Hint(
        "a push is ciphered with a key made for it",
        "wrapped and agreed keys are not supported: let the meter use its global key",
    ),
    Symptom.PUSH_KEY_MISSING: Hint(
        "a push is ciphered with a key that is not configured", "set dlms.{key}"
    ),
    Symptom.PUSHES_ONLY: Hint(
        "a meter that only pushes is asked",
        "give the device a connection if the meter can be reached",
    ),
}

_OURS: dict[Symptom, Hint] = {
    Symptom.CONFIGURATION: Hint(
        "the configuration has problems",
        "correct the configuration; `dlms-connector check FILE` lists every problem",
    ),
    Symptom.FILE_UNREADABLE: Hint(
        "a file cannot be read", "check the name of the file, and who may read it"
    ),
    Symptom.OPTIONS: Hint(
        "an option of `discover` is wrong",
        "keys of `dlms` are given by --dlms KEY=VALUE, others by the option of that name",
    ),
    Symptom.EXTRA_MISSING: Hint(
        "a part that is not installed is needed",
        "pip install 'thingsboard-dlms-connector[{extra}]' in the environment that runs this",
    ),
    Symptom.METRICS_PORT: Hint(
        "the port of `metrics` cannot be used",
        "another program uses it (`ss -ltnp`): set another metrics.port; meters are polled "
        "without it",
    ),
    Symptom.STATE_BUSY: Hint(
        "a file of ours does not answer in time",
        "another process holds the file, or its disk is slow: see who uses stateDirectory "
        "(`fuser`), and keep it on a local disk",
    ),
    Symptom.NOT_KEPT: Hint(
        "an invocation counter cannot be kept",
        "check room and rights of stateDirectory; a command is best run as the user that runs "
        "the gateway",
    ),
    Symptom.COUNTER_UNKNOWN: Hint("it is unknown where to go on with the counter", "{remedy}"),
    Symptom.KEY_WORN: Hint(
        "the invocation counters of a key are used up",
        "if the meter's counter really is that far, change the meter's keys. If it is not, the "
        "number was forged: what the public client reads is not authenticated",
    ),
    Symptom.ELSEWHERE: Hint("the gateway keeps its counters elsewhere", "{remedy}"),
    Symptom.LINE_BUSY: Hint(
        "a call is not done in time",
        "allow the call more time, or poll the meters on this line less often",
    ),
    Symptom.GIVEN_UP: Hint(
        "a change is not begun because its caller has given up",
        "give the call a longer `timeout`, and its caller too, or poll the line less often",
    ),
    Symptom.AWAY: Hint(
        "a call to a meter that does not answer", "the call `reconnect` tries at once"
    ),
    Symptom.GATEWAY_FAILED: Hint("the gateway of the demo fails", "its log says why"),
}

#: The headings of the documentation, and the rows below each.
SECTIONS: dict[str, dict[Symptom, Hint]] = {
    "The way to the meter": _WAY,
    "Silence, or no frames": _FRAMES,
    "Optical ports": _OPTICAL,
    "The association": _ASSOCIATION,
    "Ciphering": _CIPHERING,
    "Answers": _ANSWERS,
    "Pushes": _PUSHES,
    "On the gateway's side": _OURS,
}

HINTS: dict[Symptom, Hint] = {key: row for rows in SECTIONS.values() for key, row in rows.items()}


class _Facts(dict[str, object]):
    """Facts that a sentence names; one that is not known becomes dots."""

    def __missing__(self, key: str) -> str:
        return "…"


def sentence(symptoms: Iterable[Symptom], facts: Mapping[str, object] | None = None) -> str:
    """Return what to try, in one sentence; "" for no symptom."""
    known = _Facts(facts or {})
    return "; ".join(HINTS[symptom].remedy.format_map(known) for symptom in symptoms)


def with_options(symptom: Symptom) -> str:
    """Return the sentence for `discover`, which takes options in place of keys."""
    hint = HINTS[symptom]
    return sentence([symptom]) + (f"; that is {hint.options}" if hint.options else "")
