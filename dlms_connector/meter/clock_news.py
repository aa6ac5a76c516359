"""Says once that a meter's clock is in the wrong zone, and once that it no longer is."""

from __future__ import annotations

import logging

from dlms_connector.interpret import Options, zone_error
from dlms_connector.meter.outcome import ClockAnswer


class ClockNews:
    """What was logged about the clock of one meter."""

    def __init__(self, meter: str, options: Options, log: logging.Logger) -> None:
        self._meter, self._options, self._log = meter, options, log
        self._known: str | None = None

    def read(self, clock: ClockAnswer) -> None:
        """Note what the clock told."""
        problem = zone_error(clock.moment, clock.drift_s, self._options)
        if problem == self._known:
            return
        if problem is None:
            self._log.info("%s: its clock is in the right zone again", self._meter)
        else:
            self._log.warning("%s: %s", self._meter, problem)
        self._known = problem
