"""Names that ThingsBoard accepts: of devices, device profiles, attributes and time series.

It refuses others without a word: a key costs all values of its message, which is acknowledged
all the same; a device is never created; a device profile becomes `default`.

The rule is that of ThingsBoard 4.3: `KvUtils.validate` for keys (not blank, at most 255 UTF-16
units, `NoXssValidator`), `@NoXss` and `@Length` of the fields `name` and `type` of its class
`Device`. `NoXssValidator` refuses `{{…}}`, and what AntiSamy takes for a tag, a processing
instruction or a CDATA section. AntiSamy's parser sees a tag in `<` before an ASCII letter, and
in `</p` and `</br`; `<1`, `a < b`, `<ü` and `&` are accepted.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated
from zlib import crc32

from pydantic import AfterValidator

from dlms_connector.config.shown import shown
from dlms_connector.config.types import LONGEST_NAME, Name

_TAG = re.compile(r"<(?=\??[A-Za-z]|!\[CDATA\[|/(?:p|br)(?![A-Za-z]))", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{.*\}\}", re.DOTALL)
#: Control characters, of which NUL fails in the database, and lone surrogates.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNNAMED = "unnamed"


def refusal(name: str) -> str | None:
    """Return why the platform refuses a name, as the end of a sentence; None if it does not."""
    if not name.strip():
        return "blank"
    if _units(name) > LONGEST_NAME:
        return f"longer than {LONGEST_NAME} characters of UTF-16"
    if _TAG.search(name):  # what stands there is not shown: in a table it may be a password
        return "'<' before a letter looks like an HTML tag; write '< ' or leave it out"
    if _TEMPLATE.search(name):
        return "'{{…}}' looks like a template"
    return None


@lru_cache(maxsize=8192)
def acceptable(name: str) -> str:
    """Return a name that the platform accepts, as similar as possible; a good one is unchanged.

    For names that come from a meter or from a user's own converter: nobody can correct them.
    """
    made = _UNWRITABLE.sub(" ", name)
    if made == name and refusal(name) is None:
        return name
    made = made.strip()
    made = _TAG.sub("< ", made)
    if _TEMPLATE.search(made):
        made = re.sub(r"\{(?=\{)", "{ ", made)
    if _units(made) > LONGEST_NAME:
        made = _cut(made)
    return made or _UNNAMED


def _cut(name: str) -> str:
    """Shorten a name; a checksum tells names apart that begin alike."""
    mark = f"…{crc32(name.encode(errors='replace')):08x}"
    while _units(name) + len(mark) > LONGEST_NAME:
        name = name[: LONGEST_NAME - len(mark)] if len(name) > LONGEST_NAME else name[:-1]
    return name + mark


def _units(name: str) -> int:
    """Return the length as Java counts it, in UTF-16 units."""
    return len(name) + sum(each > "\uffff" for each in name)


def _accepted(name: str) -> str:
    if name and (why := refusal(name)):
        raise ValueError(f"the platform drops {shown(name)}: {why}")
    return name


PlatformName = Annotated[Name, AfterValidator(_accepted)]
