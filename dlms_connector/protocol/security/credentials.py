"""Keys and secrets from the configuration, checked once."""

from __future__ import annotations

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.errors import ConfigError
from dlms_connector.protocol.acse import Mechanism
from dlms_connector.protocol.security.authentication import TITLED, WITH_PASSWORD, Credentials
from dlms_connector.protocol.security.ciphering import ENCRYPTED, PROTECTIONS, TITLE_SIZE, Keys
from dlms_connector.protocol.security.signing import Signer, read_private_key, read_public_key


def read_credentials(dlms: Dlms, workarounds: Workarounds) -> Credentials:
    """Return the keys and signer of a configuration. Raises ConfigError with all problems."""
    mechanism = Mechanism[dlms.authentication]
    if problems := list(_problems(dlms, workarounds, mechanism)):
        raise ConfigError(*problems)
    return Credentials(dlms.password or b"", _keys(dlms, mechanism), _signer(dlms, workarounds))


def needs_keys(dlms: Dlms) -> bool:
    """Return whether the symmetric keys are used, to cipher or to authenticate."""
    return dlms.security != "NONE" or dlms.authentication == "HIGH_GMAC"


def needs_signer(dlms: Dlms, workarounds: Workarounds) -> bool:
    """Whether anything is signed."""
    return dlms.authentication == "HIGH_ECDSA" or workarounds.sign != "never"


def _problems(dlms: Dlms, workarounds: Workarounds, mechanism: Mechanism) -> list[str]:
    titled = dlms.security != "NONE" or mechanism in TITLED or workarounds.sign != "never"
    keyed = needs_keys(dlms)
    authenticated = (keyed and dlms.security != "ENCRYPTION") or mechanism is Mechanism.HIGH_GMAC
    signs = needs_signer(dlms, workarounds)
    needed = {
        "password": mechanism in WITH_PASSWORD - {Mechanism.LOW},
        "systemTitle": titled,
        "blockCipherKey": keyed,
        "authenticationKey": authenticated,
        "signingKey": signs,
        "serverSigningKey": signs,
        "serverSystemTitle": titled and workarounds.pre_established,
    }
    found = {
        "password": dlms.password,
        "systemTitle": dlms.system_title,
        "blockCipherKey": dlms.block_cipher_key,
        "authenticationKey": dlms.authentication_key,
        "signingKey": dlms.signing_key,
        "serverSigningKey": dlms.server_signing_key,
        "serverSystemTitle": dlms.server_system_title,
    }
    why = f"authentication {dlms.authentication} with security {dlms.security}"
    problems = [
        f"dlms.{key}: needed for {why}" for key, need in needed.items() if need and not found[key]
    ]
    for key in ("systemTitle", "serverSystemTitle"):
        title = found[key]
        if title and len(title) != TITLE_SIZE:
            problems.append(f"dlms.{key}: {len(title)} bytes instead of {TITLE_SIZE}")
    if dlms.dedicated_key and not PROTECTIONS[dlms.security] & ENCRYPTED:
        problems.append("dlms.dedicatedKey: travels in the AARQ, so dlms.security must encrypt")
    return problems


def _keys(dlms: Dlms, mechanism: Mechanism) -> Keys | None:
    if not needs_keys(dlms):
        return None
    block, authentication = dlms.block_cipher_key or b"", dlms.authentication_key or b""
    return Keys(dlms.security_suite, block, authentication)


def _signer(dlms: Dlms, workarounds: Workarounds) -> Signer | None:
    if not needs_signer(dlms, workarounds):
        return None
    suite = dlms.security_suite
    return Signer(
        suite,
        read_private_key(suite, dlms.signing_key or b"", "signingKey"),
        read_public_key(suite, dlms.server_signing_key or b"", "serverSigningKey"),
    )
