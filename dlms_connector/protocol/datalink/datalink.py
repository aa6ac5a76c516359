"""Make the data link of a configured meter."""

from __future__ import annotations

from typing import Any

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.protocol.datalink.addressing import client_address, server_address_of
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_connectionless import ConnectionlessHdlc
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.mode_e import ModeE
from dlms_connector.protocol.datalink.wrapper import Wrapper
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.talk import DataLink


def make_datalink(
    dlms: Dlms,
    connection_retries: int,
    workarounds: Workarounds,
    remarks: Remarks | None = None,
    *,
    datagrams: bool = False,
) -> DataLink:
    """Return the data link of a meter; raises ConfigError if its address does not fit.

    `remarks` takes what the meter says unasked. `datagrams` says that it goes over UDP.
    """
    remarks = remarks or Remarks()
    if dlms.interface_type == "WRAPPER":
        # With a fixed invoke-id, a second answer could not be told from that to the next request.
        retries = connection_retries if workarounds.fixed_invoke_id is None else 0
        order = workarounds.wrapper_byte_order
        return Wrapper(
            dlms.client_address,
            dlms.logical_address,
            retries=retries,
            datagrams=datagrams,
            sends="little" if order == "little" else "big",
            expects="big" if order == "big" else "little",
            remarks=remarks,
            unmarked=_is_unmarked(dlms, workarounds),
        )
    hdlc = _hdlc(dlms, connection_retries, workarounds, remarks)
    if dlms.interface_type == "HDLC_WITH_MODE_E":
        return ModeE(
            hdlc,
            device_address=dlms.mode_e.address,
            retries=connection_retries,
            start_baudrate=dlms.mode_e.start_baudrate,
            max_baudrate=dlms.mode_e.max_baudrate,
        )
    return hdlc


def _hdlc(dlms: Dlms, retries: int, workarounds: Workarounds, remarks: Remarks) -> Hdlc:
    addresses = client_address(dlms.client_address), server_address_of(dlms)
    settings: dict[str, Any] = {
        "retries": retries,
        "proposal": _proposal(workarounds),
        "skip_snrm": workarounds.skip_snrm,
        "remarks": remarks,
    }
    if workarounds.connectionless:
        # As with the wrapper: only the invoke-id tells answers apart.
        repeats = retries if workarounds.fixed_invoke_id is None else 0
        unmarked = _is_unmarked(dlms, workarounds)
        return ConnectionlessHdlc(*addresses, repeats=repeats, unmarked=unmarked, **settings)
    counted = not workarounds.uncounted_frames
    unmarked = not counted and _is_unmarked(dlms, workarounds)
    return Hdlc(*addresses, counted=counted, unmarked=unmarked, **settings)


def _is_unmarked(dlms: Dlms, workarounds: Workarounds) -> bool:
    """Whether no invoke-id tells answers apart."""
    return dlms.referencing == "SN" or workarounds.fixed_invoke_id is not None


def _proposal(workarounds: Workarounds) -> HdlcParameters | None:
    """Return the parameters that SNRM proposes; None without workarounds."""
    proposed = {
        "info_transmit": workarounds.max_info_transmit,
        "info_receive": workarounds.max_info_receive,
        "window_transmit": workarounds.window_transmit,
        "window_receive": workarounds.window_receive,
    }
    given = {name: value for name, value in proposed.items() if value is not None}
    return HdlcParameters(**given) if given else None
