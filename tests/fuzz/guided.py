"""One target, guided by coverage: `python -m tests.fuzz.guided TARGET [libFuzzer's options]`.

A process of its own, because libFuzzer ends it. The package is instrumented as it is imported.
"""

from __future__ import annotations

import logging
import sys

import atheris

with atheris.instrument_imports(include=["dlms_connector", "dlms_converters"]):
    from tests.fuzz.table import TARGETS
    from tests.fuzz.watch import check, interrupting

#: Instrumented code takes so many times longer.
_SLOWER = 3


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    target = TARGETS[sys.argv[1]]
    logging.disable(logging.INFO)
    atheris.Setup(
        [sys.argv[0], *sys.argv[2:]], lambda octets: _run(octets), internal_libfuzzer=True
    )

    def _run(octets: bytes) -> None:
        check(target, octets, _SLOWER * 0.1)

    with interrupting():
        atheris.Fuzz()


if __name__ == "__main__":
    main()
