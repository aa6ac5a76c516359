"""The APDUs that open and close an association (IEC 62056-5-3): encoding and parsing only.

These are AARQ, AARE, RLRQ and RLRE, and the InitiateRequest and InitiateResponse within them.
"""

from dlms_connector.protocol.acse.acse import (
    AARE,
    RLRE,
    RLRQ,
    Aare,
    Aarq,
    Context,
    Diagnostic,
    Mechanism,
    Result,
    encode_release,
    parse_release,
)
from dlms_connector.protocol.acse.conformance import LN_SERVICES, SN_SERVICES
from dlms_connector.protocol.acse.initiate import (
    CONFIRMED_SERVICE_ERROR,
    DLMS_VERSION,
    LEAST_PDU,
    InitiateRequest,
    InitiateResponse,
    describe_service_error,
)
from dlms_connector.protocol.acse.tolerance import (
    mend_sealed,
    read_aare,
    read_initiate_response,
)

__all__ = [
    "AARE",
    "CONFIRMED_SERVICE_ERROR",
    "DLMS_VERSION",
    "LEAST_PDU",
    "LN_SERVICES",
    "RLRE",
    "RLRQ",
    "SN_SERVICES",
    "Aare",
    "Aarq",
    "Context",
    "Diagnostic",
    "InitiateRequest",
    "InitiateResponse",
    "Mechanism",
    "Result",
    "describe_service_error",
    "encode_release",
    "mend_sealed",
    "parse_release",
    "read_aare",
    "read_initiate_response",
]
