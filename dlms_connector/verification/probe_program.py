"""Run by the gateway's own Python: loads the class by the gateway's loader, reads `dlms.json`.

It must run where the connector is not installed, so nothing of it is imported at the top. The
arguments are the type, the class and the file of the entry. It prints one JSON object.
"""

import json
import sys


def main() -> None:
    """Find out and print."""
    kind, name, path = sys.argv[1:4]
    answer: dict[str, object] = {"python": sys.executable, "versions": _versions(), "error": ""}
    try:
        from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

        found = TBModuleLoader.import_module(kind.lower(), name)
        if isinstance(found, type):
            answer["loadedFrom"] = sys.modules[found.__module__].__file__
        else:
            answer["error"] = "; ".join(str(each) for each in found) or (
                f"no file in a folder {kind.lower()} of the gateway's extensions has it"
            )
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    try:
        from pathlib import Path

        from dlms_connector.config import load_file

        answer["problems"] = list(load_file(Path(path)).every_problem)
    except ImportError:
        pass
    except Exception as error:
        answer["problems"] = str(error).splitlines()
    print("\n" + json.dumps(answer))  # noqa: T201 - this is its result


def _versions() -> "dict[str, str]":
    from contextlib import suppress
    from importlib import metadata

    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("thingsboard-gateway", "thingsboard-dlms-connector", "gurux-dlms"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


if __name__ == "__main__":
    main()
