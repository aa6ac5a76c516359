"""Turn pydantic's errors into sentences for the author of a configuration.

A sentence names the allowed values. It shows the wrong value only if that cannot be a secret:
never in an object that has secrets among its keys, nor below it, since a password under a wrong
key is a common mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from dlms_connector.config.base import NOT_FOR_DOCUMENTS
from dlms_connector.config.connection import CONNECTION_KINDS
from dlms_connector.config.inheritance import Location
from dlms_connector.config.shown import is_short_number, shown, without

Schema = Mapping[str, Any]

#: Keywords of a schema whose value is not an object.
_MEMBERS = {"enum", "const"}


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    hides: Callable[[Location], bool] = lambda location: False,
) -> Iterator[tuple[Location, str, str]]:
    """Yield location, sentence and pydantic's error type for each problem.

    `hides` tells locations whose value must not be shown, for reasons outside of the model.
    """
    errors = [(found, _locate(model, found["loc"])) for found in error.errors(include_url=False)]
    seen = {
        place.location[:length] for _, place in errors for length in range(1, len(place.location))
    }
    for found, place in errors:
        location = place.location
        if location in seen:  # a union has one error per member: the deepest one is used
            continue
        seen.add(location)
        if found["type"] == "union_tag_invalid":
            location = (*location, "type")
        secret = place.holds_secrets or hides(location)
        make = _SENTENCES.get(found["type"], _fallback)
        sentence = make(_Found(found, place, secret=secret))
        yield location, without(sentence, found["input"]) if secret else sentence, found["type"]


@dataclass(frozen=True, slots=True)
class _Place:
    """A location, its schema, that of the object around it, and whether secrets lie there."""

    location: Location
    schema: Schema
    parent: Schema
    holds_secrets: bool


class _Found:
    """One error with the schema of its location."""

    def __init__(self, error: Any, place: _Place, *, secret: bool) -> None:
        self.context: Mapping[str, Any] = error.get("ctx") or {}
        self.message: str = error["msg"]
        self.value = error["input"]
        self.key = str(place.location[-1]) if place.location else ""
        self.schema, self.parent = place.schema, place.parent
        self._secret = secret

    @property
    def shown(self) -> str:
        """The wrong value, unless it may be a secret."""
        hidden = self._secret and not is_short_number(self.value)
        return "this" if hidden and isinstance(self.value, str | int | float) else shown(self.value)


def is_secret(schema: Schema) -> bool:
    """Whether a value of this schema must not be shown."""
    return any(branch.get("format") == "password" for branch in _branches(schema))


def _range(found: _Found) -> str:
    for branch in _branches(found.schema):
        low = branch.get("minimum", branch.get("ge"))
        high = branch.get("maximum", branch.get("le"))
        if low is not None and high is not None:
            return f"{found.shown} is not in {low}..{high}"
        if low is not None:
            return f"{found.shown} is less than {low}"
    return _fallback(found)


def _choice(found: _Found) -> str:
    choices = [
        choice
        for branch in _branches(found.schema)
        for choice in branch.get("enum", [branch["const"]] if "const" in branch else [])
    ]
    names = [shown(choice) if isinstance(choice, bool) else str(choice) for choice in choices]
    if any("properties" in branch for branch in _branches(found.schema)):
        names.append("an object")
    return f"{found.shown} is not one of {', '.join(names)}" + did_you_mean(found.value, names)


def _kind_of_connection(found: _Found) -> str:
    kind = found.value.get("type") if isinstance(found.value, Mapping) else found.value
    sentence = f"{shown(kind)} is not one of {', '.join(CONNECTION_KINDS)}"
    return sentence + did_you_mean(kind, CONNECTION_KINDS)


def _not_an_object(found: _Found) -> str:
    keys = [
        each for branch in _branches(found.schema) for each in branch.get("properties", {}).values()
    ]
    if isinstance(found.value, str) and any(is_secret(each) for each in keys):
        return "expected an object, got text"  # which may hold the secret
    return f"expected an object, got {found.shown}"


def _unknown(found: _Found) -> str:
    known = [key for branch in _branches(found.parent) for key in branch.get("properties", ())]
    return "unknown key" + did_you_mean(found.key, known)


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Suggest the most similar known word; empty if there is none."""
    spelled = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(word).casefold(), spelled, n=1, cutoff=0.6)
    return f"; did you mean {spelled[close[0]]}?" if close else ""


def _own(found: _Found) -> str:
    """Return the message of our own readers, which is a whole sentence."""
    return str(found.context.get("error", found.message))


def _fallback(found: _Found) -> str:
    return found.message[:1].lower() + found.message[1:]


_SENTENCES: Mapping[str, Callable[[_Found], str]] = {
    "missing": lambda _: "required",
    "extra_forbidden": _unknown,
    "greater_than_equal": _range,
    "less_than_equal": _range,
    "literal_error": _choice,
    "union_tag_invalid": _kind_of_connection,
    "string_type": lambda found: f"expected text, got {found.shown}",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda found: f"has more than {found.context['max_length']} characters",
    "too_short": lambda _: "needs at least one entry",
    "tuple_type": lambda found: f"expected a list, got {found.shown}",
    "model_type": _not_an_object,
    "model_attributes_type": _not_an_object,
    "union_tag_not_found": lambda found: f"expected an object, got {found.shown}",
    "dict_type": lambda found: f"expected an object, got {found.shown}",
    "value_error": _own,
}


@cache
def schema_of(model: type[BaseModel]) -> Schema:
    """Return the model's JSON Schema, which knows every key and range."""
    return model.model_json_schema(by_alias=True)


@lru_cache(maxsize=1024)  # the devices of a fleet often have the same problem
def _locate(model: type[BaseModel], where: tuple[Any, ...]) -> _Place:
    """Follow pydantic's location through the schema, without steps that are not keys."""
    schema = schema_of(model)
    defs, parent = schema.get("$defs", {}), schema
    location: list[str | int] = []
    secret = False
    for step in where:
        secret = secret or _has_secrets(schema)
        if isinstance(step, int):
            location.append(step)
            parent, schema = (
                schema,
                _joined(defs, (b["items"] for b in _branches(schema) if "items" in b)),
            )
            continue
        inner = [
            branch["properties"][step]
            for branch in _branches(schema)
            if step in branch.get("properties", ())
        ]
        named = (branch.get("additionalProperties") for branch in _branches(schema))
        inner = inner or [values for values in named if isinstance(values, Mapping)]
        if not inner and step in CONNECTION_KINDS and location[-1:] == ["connection"]:
            schema = _joined(
                defs, (b for b in _branches(schema) if b["properties"]["type"]["const"] == step)
            )
            continue
        if not inner and any(_MEMBERS & b.keys() for b in _branches(schema)):
            continue  # the name of a union's member
        location.append(step.removeprefix(NOT_FOR_DOCUMENTS))
        parent, schema = schema, _joined(defs, inner)
    return _Place(tuple(location), schema, parent, secret or is_secret(schema))


def _has_secrets(schema: Schema) -> bool:
    """Whether an object of this schema has secrets among its keys."""
    return any(
        is_secret(value)
        for branch in _branches(schema)
        for value in branch.get("properties", {}).values()
    )


def _joined(defs: Schema, schemas: Iterable[Schema]) -> Schema:
    """Combine several schemas into one, and resolve references to definitions."""
    return {
        "anyOf": [_resolved(defs, branch) for schema in schemas for branch in _branches(schema)]
    }


def _resolved(defs: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    return defs[reference.rpartition("/")[2]] if reference else schema


def _branches(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, nested ones too."""
    inner = schema.get("anyOf") or schema.get("oneOf")
    return [b for branch in inner for b in _branches(branch)] if inner else [schema]
