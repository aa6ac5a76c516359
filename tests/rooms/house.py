"""The map in docs/architecture.md, drawn from the packages: `python -m tests.rooms.house docs`.

A room is a package in `dlms_connector/`, a wing a package in a room. Generated parts stand
between comments such as `<!-- rooms: map -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import grimp

from tests.support.places import ROOT

PACKAGE = "dlms_connector"
#: Rooms whose wings the map shows.
WINGED = ("protocol", "simulator")
#: The vocabulary: modules that every room uses, so that arrows to them would tell nothing.
VOCABULARY = ("alike", "errors", "obis", "platform_keys", "reading", "receiving", "within")

_PART = re.compile(r"(<!-- rooms: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return a document with its parts on rooms written anew."""
    return _PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]]() + "\n" + part[3], text)


@cache
def imports() -> grimp.ImportGraph:
    """Return which module imports which."""
    return grimp.build_graph(PACKAGE, "dlms_converters", cache_dir=None)


def packages(parent: str) -> list[str]:
    """Return the packages directly in a package, without its dotted name."""
    folder = ROOT / parent.replace(".", "/")
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def modules(parent: str) -> list[str]:
    """Return the modules directly in a package, without its dotted name."""
    folder = ROOT / parent.replace(".", "/")
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))


def doc(package: str) -> str:
    """Return what a package says of itself."""
    return ast.get_docstring(_syntax(f"{package.replace('.', '/')}/__init__.py")) or ""


def offers(package: str) -> frozenset[str]:
    """Return the names that a package hands on: its `__all__`."""
    for node in _syntax(f"{package.replace('.', '/')}/__init__.py").body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return frozenset(ast.literal_eval(value))
    return frozenset()


def _syntax(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _uses(places: Iterable[str]) -> dict[str, set[str]]:
    """Return which of some packages and modules imports which others of them."""
    found = {place: f"{PACKAGE}.{place}" for place in places}
    found |= {place: place for place in places if place == "dlms_converters"}
    graph = imports()
    return {
        user: {
            used
            for used, used_name in found.items()
            if used != user
            and graph.direct_import_exists(importer=user_name, imported=used_name, as_packages=True)
        }
        for user, user_name in found.items()
    }


def _essential(uses: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out an arrow where a longer way leads to the same place."""
    reached = {place: _reached(place, uses) for place in uses}
    return {
        place: {
            used
            for used in targets
            if not any(used in reached[other] for other in targets if other != used)
        }
        for place, targets in uses.items()
    }


def _reached(place: str, uses: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [place]
    while waiting:
        for used in uses[waiting.pop()] - found:
            found.add(used)
            waiting.append(used)
    return found


def _arrows(uses: Mapping[str, set[str]], prefix: str = "") -> list[str]:
    essential = _essential(uses)
    return [
        f"    {prefix}{user} --> {prefix}{used}"
        for user in sorted(essential)
        for used in sorted(essential[user])
    ]


def _wing_uses(room: str) -> dict[str, set[str]]:
    places = packages(f"{PACKAGE}.{room}") + modules(f"{PACKAGE}.{room}")
    uses = _uses(f"{room}.{place}" for place in places)
    return {
        user.partition(".")[2]: {used.partition(".")[2] for used in targets}
        for user, targets in uses.items()
    }


def _map() -> str:
    """Draw rooms and wings; an arrow leads from who imports to what is imported."""
    lines = ["```mermaid", "flowchart TB"]
    places = [*packages(PACKAGE), "connector"]
    lines += [f"    {place}" for place in places if place not in WINGED]
    lines.append('    dlms_converters["converters/dlms_converters"]')
    lines.append(f'    vocabulary["{" · ".join(VOCABULARY)}"]')
    for room in WINGED:
        uses = _wing_uses(room)
        lines.append(f"    subgraph {room}")
        lines += [f'        {room}_{place}["{place}"]' for place in uses]
        lines.append("    end")
        lines += _arrows(uses, f"{room}_")
    lines += _arrows(_uses([*places, "dlms_converters"]))
    return "\n".join([*lines, "```"])


def _table() -> str:
    """Write a line for each room and wing: the first sentence of what it says of itself."""
    rows = ["| room | what lives there |", "|---|---|"]
    for room in packages(PACKAGE):
        rows.append(_row(room, room))
        if room in WINGED:
            rows += [
                _row(f"{room}/{wing}", f"{room}.{wing}") for wing in packages(f"{PACKAGE}.{room}")
            ]
    return "\n".join(rows)


def _row(path: str, name: str) -> str:
    first = doc(f"{PACKAGE}.{name}").split("\n\n")[0].replace("\n", " ")
    return f"| `{PACKAGE}/{path}/` | {first} |"


PARTS: Mapping[str, Callable[[], str]] = {"map": _map, "table": _table}


def main(folder: Path) -> None:
    """Write the generated parts of all documents in a folder anew."""
    for path in sorted(folder.glob("*.md")):
        text = path.read_text("utf-8")
        if (filled := fill(text)) != text:
            path.write_text(filled, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
