"""Meters that talk first: what they send unasked becomes readings.

`Push` listens (`doors`) and takes what polled meters say between replies. A push goes from
`receiver` (who sent it, is it genuine and new) over `layout` and `mapping` (what is what) to
`readings`.
"""

from dlms_connector.push.push import Push
from dlms_connector.push.receiver import Sink

__all__ = ["Push", "Sink"]
