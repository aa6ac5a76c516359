"""Requests and strict parsing of replies, by logical names and by short names (IEC 62056-5-3).

`codec` is the only module of the package that imports gurux_dlms: it builds requests. Replies are
parsed in `replies` and `short_name_replies`.
"""

from dlms_connector.protocol.services.access import Access
from dlms_connector.protocol.services.allowance import ASKED, POLLED, STRANGER, Allowance
from dlms_connector.protocol.services.broken_list import entries_of
from dlms_connector.protocol.services.conversation import Conversation, exchange
from dlms_connector.protocol.services.directory import Directory, ObjectList
from dlms_connector.protocol.services.fence import Fence
from dlms_connector.protocol.services.listening import LATE, Listening
from dlms_connector.protocol.services.logical_names import LIST_HEADER, LogicalNames
from dlms_connector.protocol.services.naming import Naming
from dlms_connector.protocol.services.question import Question
from dlms_connector.protocol.services.replies import exception_words
from dlms_connector.protocol.services.selection import Selector
from dlms_connector.protocol.services.short_names import ShortNames

__all__ = [
    "ASKED",
    "LATE",
    "LIST_HEADER",
    "POLLED",
    "STRANGER",
    "Access",
    "Allowance",
    "Conversation",
    "Directory",
    "Fence",
    "Listening",
    "LogicalNames",
    "Naming",
    "ObjectList",
    "Question",
    "Selector",
    "ShortNames",
    "entries_of",
    "exception_words",
    "exchange",
]
