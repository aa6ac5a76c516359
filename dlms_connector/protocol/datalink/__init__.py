"""Carrying whole APDUs over a stream of bytes: HDLC, the wrapper, mode E (IEC 62056-46, -47, -21).

Use `make_datalink`. Discovery also uses single frames.
"""

from dlms_connector.protocol.datalink import wrapper
from dlms_connector.protocol.datalink.addressing import (
    client_address,
    evaluate_formula,
    server_address,
    split_server_address,
)
from dlms_connector.protocol.datalink.arrivals import (
    Arrival,
    Arrivals,
    PushFraming,
    make_arrivals,
)
from dlms_connector.protocol.datalink.datalink import make_datalink
from dlms_connector.protocol.datalink.fcs import fcs
from dlms_connector.protocol.datalink.hdlc_frame import (
    DISC,
    DM,
    FRMR,
    POLL_FINAL,
    SNRM,
    UA,
    Frame,
    FrameReader,
)
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.mode_e import BAUDRATES, SETTLE_S, sign_on
from dlms_connector.protocol.datalink.overheard import seven_bits

__all__ = [
    "BAUDRATES",
    "DISC",
    "DM",
    "FRMR",
    "POLL_FINAL",
    "SETTLE_S",
    "SNRM",
    "UA",
    "Arrival",
    "Arrivals",
    "Frame",
    "FrameReader",
    "HdlcParameters",
    "PushFraming",
    "client_address",
    "evaluate_formula",
    "fcs",
    "make_arrivals",
    "make_datalink",
    "server_address",
    "seven_bits",
    "sign_on",
    "split_server_address",
    "wrapper",
]
