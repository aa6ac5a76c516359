"""Checks templates and defaults on their own, so that a problem of theirs is told once."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector.config.device_building import check_partially
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.noted import Problems
from dlms_connector.config.templates import DEFAULTS, OWN_KEYS, TEMPLATES, Templates


def check_templates(templates: Templates, problems: Problems) -> None:
    """Note what is wrong with templates and defaults, whether devices use them or not."""
    problems.note(*templates.problems)
    _check([Layer(Place(DEFAULTS), templates.defaults)], problems)
    for name, values in templates.own.items():
        try:
            layers = templates.chain(name)
        except LookupError as error:
            problems.note(f"{TEMPLATES}.{name}.template: {error.args[0]}")
            layers = [Layer(Place(f"{TEMPLATES}.{name}"), values)]
        _check(layers, problems)
    try:
        templates.chain(templates.default_template())
    except LookupError as error:
        problems.note(f"{DEFAULTS}.template: {error.args[0]}")


def _check(layers: Sequence[Layer], problems: Problems) -> None:
    problems.note(*check_partially(layers))
    for layer in layers:
        for key in OWN_KEYS:
            if key in layer.values:
                problems.note(f"{layer.place.at((key,))}: belongs to a device alone")
