"""Which lines of the package an input reaches, each with the line before it."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.target import Target

_PACKAGES = ("/dlms_connector/", "/dlms_converters/")

#: Code, the line before, and the line.
Step = tuple[CodeType, int, int]


def reached(target: Target, octets: bytes) -> set[Step]:
    """Run an input and return the steps that it takes; a find takes some, too."""
    steps: set[Step] = set()

    def within(frame: FrameType, event: str, _: Any) -> Any:
        code, before = frame.f_code, frame.f_lineno

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal before
            steps.add((code, before, frame.f_lineno))
            before = frame.f_lineno
            return line

        if not any(package in code.co_filename for package in _PACKAGES):
            return None
        steps.add((code, 0, before))
        return line

    sys.settrace(within)
    try:
        target.run(octets)
    except Exception:
        pass
    finally:
        sys.settrace(None)
    return steps
