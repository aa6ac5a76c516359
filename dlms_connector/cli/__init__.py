"""The command line: one module per command, imported when it is used.

`program` holds the list of commands and turns errors into lines and exit codes.
"""

from dlms_connector.cli.program import COMMANDS, FAILED, USER_MISTAKE, main

__all__ = ["COMMANDS", "FAILED", "USER_MISTAKE", "main"]
