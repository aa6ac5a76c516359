"""Keys, ciphered and signed APDUs, and the proofs of high level security (IEC 62056-5-3).

Every tag, counter and level of protection is verified on receipt. The cryptography itself comes
from the library `cryptography`.
"""

from dlms_connector.protocol.security.authentication import TITLED, Challenges, Handshake, Side
from dlms_connector.protocol.security.ciphering import CountUp, InvocationCounter
from dlms_connector.protocol.security.credentials import needs_keys, read_credentials
from dlms_connector.protocol.security.message_security import MessageSecurity
from dlms_connector.protocol.security.protection import EXCEPTION_RESPONSE, check_counter_error

__all__ = [
    "EXCEPTION_RESPONSE",
    "TITLED",
    "Challenges",
    "CountUp",
    "Handshake",
    "InvocationCounter",
    "MessageSecurity",
    "Side",
    "check_counter_error",
    "needs_keys",
    "read_credentials",
]
