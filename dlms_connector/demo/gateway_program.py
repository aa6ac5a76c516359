"""The gateway's own program in a process that ends with the one which started it.

Run by `gateway_process`, whose death closes the standard input: a gateway left behind by a
demo or a test that was killed would poll for ever. The only argument, if any, is a folder
of extensions; that of the Debian package only the administrator of a machine can create.
"""

from __future__ import annotations

import os
import runpy
import sys
from threading import Thread

from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader


def end_with_parent() -> None:
    """Wait until nobody holds the other end of the standard input, then end at once."""
    # Not sys.stdin: a thread that waits in there breaks the interpreter's own end.
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Run the gateway."""
    Thread(target=end_with_parent, daemon=True).start()
    if sys.argv[1:]:
        TBModuleLoader.find_paths()
        TBModuleLoader.PATHS.insert(0, sys.argv.pop())  # an argument means a hot reload to it
    runpy.run_module("thingsboard_gateway.tb_gateway", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
