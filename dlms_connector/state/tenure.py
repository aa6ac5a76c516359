"""Since when this gateway alone counts for its meters.

If another gateway served a meter meanwhile, it has used invocation counters that the files here do
not know. So a gateway that begins to serve meters begins a tenure: numbers of an earlier one say no
more than where the counter is at least, and the meter is asked for it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from dlms_connector.state import private_files

FILE = "tenure.json"


def note_tenure(folder: Path, share: str, *, anew: bool) -> bool:
    """Begin a tenure if the share is another than before, or `anew`; false if it goes on.

    Without a file, and for a gateway that is alone (`share` is empty), there is none: nobody else
    ever counted. Raises OSError if it cannot be kept.
    """
    path = folder / FILE
    try:
        found = private_files.load(path)
        before = found.get("share") if _named(found) is not None else None
    except FileNotFoundError:
        before = ""
    except ValueError:
        before = None
    if before == share and not anew:
        return False
    private_files.write(path, {"share": share, "tenure": secrets.token_hex(8)})
    return True


def tenure_of(folder: Path) -> str | None:
    """Return what the present tenure is called; None if there never was another gateway.

    Raises OSError if it cannot be read for now.
    """
    try:
        found = private_files.load(folder / FILE)
    except FileNotFoundError:
        return None
    except ValueError:
        return "unreadable"  # no file of a counter is of it, so the meters are asked
    return _named(found) or "unreadable"


def _named(found: object) -> str | None:
    """Return the tenure that a file names; None if it names none."""
    tenure = found.get("tenure") if isinstance(found, dict) else None
    return tenure if isinstance(tenure, str) and tenure else None
