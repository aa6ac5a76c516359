"""The gateway's own program in a process that ends when its parent process ends.

`gateway_process` starts it. When the parent ends, the standard input closes, which ends this
process. Otherwise, a gateway would poll for ever after its demo or test was killed. The only,
optional argument is a folder of extensions, because only an administrator can create the folder
of the Debian package.
"""

from __future__ import annotations

import os
import runpy
import sys
from threading import Thread

from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader


def end_with_parent() -> None:
    """Wait until the other end of the standard input is closed, then exit at once."""
    # Not sys.stdin: a thread that waits in it breaks the shutdown of the interpreter.
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Run the gateway."""
    Thread(target=end_with_parent, daemon=True).start()
    if sys.argv[1:]:
        TBModuleLoader.find_paths()
        TBModuleLoader.PATHS.insert(0, sys.argv.pop())  # the gateway takes arguments as hot reload
    runpy.run_module("thingsboard_gateway.tb_gateway", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
