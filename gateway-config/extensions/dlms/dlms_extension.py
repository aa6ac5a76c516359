"""Where the gateway finds the DLMS connector: it runs every file of this folder by itself.

It does so once per class it looks for, so this only imports: a class defined here would
be another one each time.
"""

import logging

try:
    from dlms_connector.connector import DLMSConnector
    from dlms_converters.downlink import DLMSDownlinkConverter
    from dlms_converters.uplink import DLMSUplinkConverter
except ImportError as error:
    # The gateway would say "Connector implementation not found" and no more.
    logging.getLogger("service").error(
        "the DLMS connector cannot be imported: %s; "
        "install it into the gateway's own Python: pip install thingsboard-dlms-connector",
        error,
        exc_info=error,
    )
    raise

__all__ = ["DLMSConnector", "DLMSDownlinkConverter", "DLMSUplinkConverter"]
