"""DLMS/COSEM from the client's side, without IO.

`Client` is one association with one meter. Its methods are talks: generators that yield the
bytes to send and are sent the bytes that arrived. `directive` is what a talk may ask of the line
besides sending, `remarks` what it notices besides answers. The wings, from the bottom up: `data`
(A-XDR and BER), `datalink` (HDLC, wrapper, mode E), `acse` (the APDUs that open an association),
`security`, `services` (GET, SET, ACTION, ACCESS, Read, Write), `association`; and `readout` for
meters that speak no DLMS.
"""

from dlms_connector.protocol import directive, remarks, talk
from dlms_connector.protocol.client import CIPHERING_OVERHEAD, Client, ask, get_one, make_client

__all__ = [
    "CIPHERING_OVERHEAD",
    "Client",
    "ask",
    "directive",
    "get_one",
    "make_client",
    "remarks",
    "talk",
]
