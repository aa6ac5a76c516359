"""Associations that a meter refused, or that failed, and what each suggests."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.config import Dlms
from dlms_connector.discovery.candidates import Referencing
from dlms_connector.discovery.probes import NOT_RECOGNIZED, WRONG_CONTEXT
from dlms_connector.errors import DlmsError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An association that the meter refused."""

    client: int
    authentication: str
    diagnostic: str
    hint: str = ""
    referencing: Referencing = "LN"

    @property
    def wants_proof(self) -> bool:
        """Whether the meter asked for an authentication that we did not try."""
        return self.authentication == "NONE" and "authentication" in self.diagnostic

    @property
    def wants_other_context(self) -> bool:
        """Whether the referencing or the ciphering was wrong; then nothing else was checked."""
        return WRONG_CONTEXT in self.diagnostic

    @property
    def is_unknown(self) -> bool:
        """Whether the meter does not know the client: one that we only tried."""
        return NOT_RECOGNIZED in self.diagnostic

    @property
    def advice(self) -> str:
        """What to check; empty if no authentication was tried and none is required."""
        if self.wants_proof:
            named = " --dlms referencing=SN" if self.referencing == "SN" else ""
            return (
                f"client {self.client} wants authentication: its owner knows the password; give "
                f"--client {self.client} --authentication LOW --password-env DLMS_PASSWORD{named}"
            )
        if self.authentication == "NONE":
            return ""
        if self.wants_other_context:
            other = "LN" if self.referencing == "SN" else "SN"
            return f"{self.hint}; that is --dlms referencing={other}, or --dlms security=…"
        return self.hint

    def __str__(self) -> str:
        names = " by short names" if self.referencing == "SN" else ""
        return (
            f"client {self.client} with authentication {self.authentication}{names}: "
            f"{self.diagnostic}"
        )


ADVICE_COUNTER_FROM_ONE = (
    "a meter that wants its invocations counted from 1 in each association behaves so too "
    "(workarounds.counterFromOne); that is not tried unasked, because it uses numbers of your key "
    "again: --try-counter-from-one does it"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A ciphered association that failed without a refusal that tells why."""

    client: int
    authentication: str
    problem: str
    tried: tuple[str, ...] = ()
    #: What was not tried because it costs the user's key something.
    untried: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, client: int, dlms: Dlms, error: DlmsError, tried: tuple[str, ...],
        untried: tuple[str, ...] = (),
    ) -> Failure:  # fmt: skip
        """Return the failure of this association; `tried` are keys of `workarounds`."""
        return cls(client, dlms.authentication, str(error), tried, untried)

    @property
    def advice(self) -> str:
        """What may be the cause: many things, of which wrong keys are one."""
        also = f"; also tried with {', '.join(self.tried)} of workarounds" if self.tried else ""
        return (
            f"client {self.client} with authentication {self.authentication} and ciphering: "
            f"{self.problem}{also}. A meter says the same to a client that it does not know, to "
            "another security, suite or systemTitle than agreed, to an invocation counter that is "
            "not above its last one (--dlms invocationCounter=0-0:43.1.0 reads it), and to wrong "
            "keys: suspect them in this order"
            + (f"; {ADVICE_COUNTER_FROM_ONE}" if self.untried else "")
        )
