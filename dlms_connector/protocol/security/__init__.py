"""Keys, ciphered and signed APDUs, and the proofs of high level security (IEC 62056-5-3).

Every tag, counter and level of protection is verified on receipt. The cryptography itself comes
from the library `cryptography`.
"""

from dlms_connector.protocol.security.authentication import TITLED, Challenges, Handshake, Side
from dlms_connector.protocol.security.ciphering import (
    BROADCAST_KEY,
    PROTECTIONS,
    TITLE_SIZE,
    CountUp,
    InvocationCounter,
    Keys,
    Unsealed,
)
from dlms_connector.protocol.security.credentials import needs_keys, read_credentials
from dlms_connector.protocol.security.message_security import MessageSecurity
from dlms_connector.protocol.security.protection import (
    CIPHERED,
    DEDICATED,
    EXCEPTION_RESPONSE,
    GENERAL_DED,
    GENERAL_GLO,
    GLOBAL,
    check_counter_error,
)

__all__ = [
    "BROADCAST_KEY",
    "CIPHERED",
    "DEDICATED",
    "EXCEPTION_RESPONSE",
    "GENERAL_DED",
    "GENERAL_GLO",
    "GLOBAL",
    "PROTECTIONS",
    "TITLED",
    "TITLE_SIZE",
    "Challenges",
    "CountUp",
    "Handshake",
    "InvocationCounter",
    "Keys",
    "MessageSecurity",
    "Side",
    "Unsealed",
    "check_counter_error",
    "needs_keys",
    "read_credentials",
]
