"""The base class of all sections of the configuration."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel

#: Key of pydantic's validation context, set if the input is a user's document, not our own code.
DOCUMENT = "document"
#: Prefix for a key that only our own code may use, so that it is refused in a document.
NOT_FOR_DOCUMENTS = "\0"

#: The sets of fields that were given, of all models. They are never changed: models are frozen.
_GIVEN: dict[frozenset[str], set[str]] = {}


class Model(BaseModel):
    """Frozen values; unknown keys are errors, JSON names are camelCase, null is the default."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    def model_post_init(self, context: Any, /) -> None:
        """Share the set of the given fields with models like this: thousands have few."""
        given = self.__pydantic_fields_set__
        object.__setattr__(
            self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given)
        )

    @model_validator(mode="before")
    @classmethod
    def _only_what_a_document_says(cls, data: Any, info: ValidationInfo) -> Any:
        """Drop nulls, and refuse the Python names of fields (`client_address`)."""
        if not isinstance(data, dict) or not (info.context or {}).get(DOCUMENT):
            return data
        names, aliases = _names(cls)
        return {
            NOT_FOR_DOCUMENTS + key if key in names else key: value
            for key, value in data.items()
            if value is not None or key not in aliases
        }


@cache
def _names(model: type[BaseModel]) -> tuple[frozenset[str], frozenset[str]]:
    """Return a model's names for Python code only, and its names for documents."""
    fields = model.model_fields
    aliases = frozenset(str(field.alias) for field in fields.values())
    return frozenset(fields) - aliases, aliases
