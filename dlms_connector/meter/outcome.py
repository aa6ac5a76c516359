"""Makes readings from the meter's answers: applies scalers, and assigns errors to keys."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from dlms_connector.config import Dlms, Item
from dlms_connector.cosem import CLOCK_CLASS, AttributeRef
from dlms_connector.errors import (
    DlmsError,
    ObjectError,
    ProtocolError,
    ScalerError,
    ServiceError,
    TooLargeError,
)
from dlms_connector.interpret import (
    Options,
    ScalerUnit,
    examine,
    has_many,
    is_longer,
    moment_of,
    options_of,
    scaler_unit,
)
from dlms_connector.meter.plan import Wanted
from dlms_connector.protocol.data import Data, DateTime
from dlms_connector.reading import LARGEST_VALUE, Failure, Kind, Poll, Reading

_ANY_METER = Dlms()

#: The attribute of class clock that is its time.
_TIME = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """The meter's answer for one attribute, and the Unix time in ms at which it arrived."""

    data: Data | DlmsError
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one poll.

    `unread` are items without an answer because the association broke. `error` says that the
    meter does not answer (any more); it is None if the poll counts as good.
    """

    poll: Poll
    unread: tuple[Wanted, ...] = ()
    error: DlmsError | None = None


def learn_scalers(
    answers: Mapping[AttributeRef, Answer],
    due: Sequence[Wanted],
    scalers: dict[AttributeRef, ScalerUnit],
) -> dict[AttributeRef, DlmsError]:
    """Store the scalers that were read; return the invalid ones and their errors."""
    wrong: dict[AttributeRef, DlmsError] = {}
    for ref in {one.scaler for one in due if one.scaler is not None} & answers.keys():
        data = answers[ref].data
        if isinstance(data, DlmsError):
            continue
        try:
            scalers[ref] = scaler_unit(data)
        except ProtocolError as error:  # concerns this object only; the line is fine
            wrong[ref] = ScalerError(f"reading {ref}: {error.problem}")
    return wrong


def outcome(
    due: Sequence[Wanted],
    answers: Mapping[AttributeRef, Answer],
    scalers: dict[AttributeRef, ScalerUnit],
    *,
    broken: DlmsError | None,
    down: bool,
    dlms: Dlms = _ANY_METER,
) -> Outcome:
    """Return the result of a poll of `due` at once; see `outcomes`."""
    work = outcomes(due, answers, scalers, broken=broken, down=down, dlms=dlms)
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Outcome = done.value
            return result


def outcomes(
    due: Sequence[Wanted],
    answers: Mapping[AttributeRef, Answer],
    scalers: dict[AttributeRef, ScalerUnit],
    *,
    broken: DlmsError | None,
    down: bool,
    dlms: Dlms = _ANY_METER,
    largest: Mapping[Kind, int] | None = LARGEST_VALUE,
) -> Generator[None, None, Outcome]:
    """Return the result of a poll of `due`, with a break after each long value.

    `broken` is why some attributes have no answer; `down` says that it counts as an outage.
    `dlms` tells how to interpret the meter's clock. A value that cannot be sent in `largest`
    bytes of JSON is not interpreted.
    """
    wrong = learn_scalers(answers, due, scalers)
    readings: list[Reading] = []
    failures: list[Failure] = []
    unread: list[Wanted] = []
    for one in due:
        missing = [ref for ref in (one.scaler, one.value)
                   if ref is not None and ref not in answers and ref not in scalers]  # fmt: skip
        if missing:
            assert broken is not None, "all was asked, and nothing broke"
            unread.append(one)
            failures.append(_failure(one, broken))
            continue
        answer = answers[one.value]
        if _is_no_value(one, answer):
            continue
        try:
            if largest is not None:
                _refuse_unsendable(one, answer, largest[one.kind])
            readings.append(_reading(one, answer, answers, scalers, wrong, dlms))
        except DlmsError as error:
            failures.append(_failure(one, error))
        if isinstance(answer.data, Data) and has_many(answer.data):
            yield
    poll = Poll(readings=tuple(readings), failures=tuple(failures))
    return Outcome(poll=poll, unread=tuple(unread), error=broken if down else None)


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """What the meter's clock showed, and how far it was ahead of ours then, in seconds."""

    moment: DateTime
    drift_s: Decimal


def clock_answer(
    due: Sequence[Wanted], answers: Mapping[AttributeRef, Answer], options: Options
) -> ClockAnswer | None:
    """Return what the meter's clock told; None if it was not read.

    Also None if the clock gives no deviation from UTC and the options give no time zone:
    then its time is ambiguous.
    """
    for ref in (one.value for one in due if one.value.class_id == CLOCK_CLASS):
        answer = answers.get(ref)
        if ref.attribute != _TIME or answer is None or isinstance(answer.data, DlmsError):
            continue
        moment = moment_of(answer.data)
        instant = moment.instant(options.zone, from_utc=options.from_utc) if moment else None
        if moment is not None and instant is not None and instant.tzinfo is not None:
            unix_ms = round(instant.timestamp() * 1000)
            return ClockAnswer(moment, Decimal(unix_ms - answer.ts_ms).scaleb(-3))
    return None


def clock_drift_s(
    due: Sequence[Wanted], answers: Mapping[AttributeRef, Answer], options: Options
) -> Decimal | None:
    """Return how far the meter's clock is ahead of ours, in seconds; None if that is not known."""
    told = clock_answer(due, answers, options)
    return told.drift_s if told else None


def _reading(
    one: Wanted,
    answer: Answer,
    answers: Mapping[AttributeRef, Answer],
    scalers: Mapping[AttributeRef, ScalerUnit],
    wrong: Mapping[AttributeRef, DlmsError],
    dlms: Dlms,
) -> Reading:
    if isinstance(answer.data, DlmsError):
        raise answer.data
    scaler = _scaler(one, answers, scalers, wrong)
    value, unit, quality = examine(one.value, answer.data, scaler, options_of(dlms, one.item))
    return Reading(
        key=one.item.key,
        kind=one.kind,
        obis=one.item.obis,
        class_id=one.item.class_id,
        attribute=one.item.attribute,
        value=value,
        unit=unit,
        ts_ms=answer.ts_ms,
        quality=quality,
    )


def _is_no_value(one: Wanted, answer: Answer) -> bool:
    """Whether the meter says that it has no reading, by a number that stands for that."""
    return isinstance(answer.data, Data) and one.item.has_no_value(answer.data.value)


def _refuse_unsendable(one: Wanted, answer: Answer, largest: int) -> None:
    """Raise TooLargeError for a value that cannot be sent: to interpret it would take long."""
    if isinstance(answer.data, Data) and is_longer(answer.data, largest):
        problem = f"too large: as JSON it has more than the {largest} bytes that may be sent"
        raise TooLargeError(f"reading {one.value}", problem)


def _failure(one: Wanted, error: DlmsError) -> Failure:
    return Failure(key=one.item.key, kind=one.kind, obis=one.item.obis, error=error)


def _scaler(
    one: Wanted,
    answers: Mapping[AttributeRef, Answer],
    scalers: Mapping[AttributeRef, ScalerUnit],
    wrong: Mapping[AttributeRef, DlmsError],
) -> ScalerUnit | None:
    """Return the scaler and unit to use; the item's own scaler replaces the meter's."""
    item, theirs = one.item, scalers.get(one.scaler) if one.scaler else None
    if theirs is None:
        answer = wrong.get(one.scaler) or answers[one.scaler].data if one.scaler else None
        if isinstance(answer, DlmsError) and item.scaler is None:
            # No value at all is better than one that is wrong by powers of ten.
            raise _unscaled(answer)
    return unit_to_use(item, theirs)


def unit_to_use(item: Item, theirs: ScalerUnit | None) -> ScalerUnit | None:
    """Return scaler and unit of an item's values; `theirs` are those that the meter gave."""
    if theirs is None:
        if item.scaler is None and item.unit is None:
            return None
        return ScalerUnit(item.scaler or 0, item.unit)
    return theirs if item.scaler is None else replace(theirs, scaler=item.scaler)


def _unscaled(answer: DlmsError) -> DlmsError:
    """Return why a value is not used, from the answer to the request for its scaler."""
    if isinstance(answer, ObjectError):
        return ScalerError(str(answer), answer.code)
    return ScalerError(str(answer)) if isinstance(answer, ServiceError) else answer
