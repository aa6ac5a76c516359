"""Opening an association, proving who we are, and closing it; why a meter refused it."""

from dlms_connector.protocol.association.association import Association

__all__ = ["Association"]
