"""The command `dlms-connector`: its subcommands and exit codes."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import io
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from dlms_connector import __version__
from dlms_connector.errors import ConfigError, DlmsError

FAILED = 1
USER_MISTAKE = 2
INTERRUPTED = 130

#: Commands in the order of use, with their line in the list of commands.
COMMANDS = {
    "demo": "Show the whole path from the meter to the platform on this machine.",
    "install": "Make a gateway find the connector, and add its entry to tb_gateway.json.",
    "uninstall": "Remove the connector from a gateway.",
    "check": "Validate a configuration; with --connect, also talk to every meter.",
    "schema": "Print the JSON Schema of dlms.json.",
    "discover": "Find the addresses and objects of a meter, and write its device entry.",
    "read": "Poll meters once and show their values.",
    "watch": "Show the values of a meter, or the states of a fleet, as they change.",
    "profile": "Read a load profile as a table, a chart, or a file.",
    "record": "Keep a conversation with a meter in a file, for a bug report.",
    "completeness": "Count the intervals of profiles that the platform has, and those it lacks.",
    "simulate": "Run simulated meters to try a configuration with.",
    "completion": "Print or install the completion for bash, zsh or fish.",
    "shard": "Share the meters of a configuration out over several gateways.",
    "verify": "Tell whether an installation is healthy.",
    "backup": "Write a backup of configuration and state, without secrets.",
    "restore": "Put a backup back.",
    "platform": "Bring dashboards and alarm rules onto ThingsBoard, and check them.",
    "migrate": "Take meters over from the old bridge.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands that this installation has."""
        return [name for name in COMMANDS if _exists(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS or not _exists(cmd_name):
            return None
        module = importlib.import_module(_module(cmd_name))
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them, so that help is fast."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands without importing them, so that Tab is fast, and options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the program; what the terminal's encoding does not have is written as an escape.

        A traceback for an arrow would hide what was to be said.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print errors that the user can solve on stderr."""
        try:
            return super().invoke(ctx)
        except DlmsError as error:
            _say(error)
            sys.exit(USER_MISTAKE if isinstance(error, ConfigError) else FAILED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # the reader of our output has ended: click exits quietly
            _say_failed(error)
            sys.exit(FAILED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _module(name: str) -> str:
    return f"{__package__}.{name}"


def _exists(name: str) -> bool:
    return importlib.util.find_spec(_module(name)) is not None


def _say_failed(error: OSError) -> None:
    """Print an error of the operating system, such as a full disk or missing rights."""
    what = f"{error.filename}: " if error.filename else ""
    click.echo(f"error: {what}{error.strerror or error}", err=True)


def _say(error: DlmsError) -> None:
    for line in str(error).splitlines():
        click.echo(f"error: {line}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all went well, 1 it failed, 2 something you wrote is wrong, "
    "130 interrupted.",
)
@click.version_option(__version__, prog_name="dlms-connector")
def main() -> None:
    """DLMS/COSEM meters for the ThingsBoard IoT Gateway."""
