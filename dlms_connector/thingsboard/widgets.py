"""The widgets of the dashboards, as ThingsBoard 4.3 keeps them.

Facts: the widget types of ThingsBoard CE 4.3.1.3 and the settings that their components read. What
is left out here has the default of the widget type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dlms_connector.platform_keys import Key

Json = dict[str, Any]
Kind = Literal["latest", "timeseries", "alarm", "rpc", "static"]

DAY_MS = 86_400_000
#: Colours of lines and bars, in turn.
_COLOURS = ("#305680", "#d9822b", "#2f9e5f", "#a6306b", "#5b5fc7", "#7a6a53")
GOOD, BAD, NEUTRAL = "#198038", "#c62828", "#305680"

#: A counter's growth since the value before: zero for the first one, and after a restart.
GROWTH = "return prevOrigValue && value > prevOrigValue ? value - prevOrigValue : 0;"
#: A text that looks like a number is sent in quotes, because the platform would make a number of
#: it. So does its interface: a space of no width takes the place of the quotes.
_UNQUOTED = r"return typeof value === 'string' ? value.replace(/^\"(.*)\"$/, '\u200B$1') : value;"
#: A device's state in green or red.
STATE_STYLE = (
    f"return {{fontWeight: 500, color: value === 'online' ? '{GOOD}' : value ? '{BAD}' : '#777'}};"
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A set of devices that widgets show; `id` names it within its dashboard."""

    id: str
    name: str
    filter: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Widget:
    """A widget without its place. `fqn` is the name of its type, which the server knows."""

    fqn: str
    kind: Kind
    config: Json


def data_key(
    key: Key,
    *,
    colour: str = NEUTRAL,
    label: str | None = None,
    post: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Json:
    """Return a key of a data source. `post` is the body of a function that changes its values."""
    if post is None and key.place == "client":
        post = _UNQUOTED
    return {
        "name": key.name,
        "type": "timeseries" if key.place == "timeseries" else "attribute",
        "label": label or key.label,
        "color": colour,
        "settings": dict(settings or {}),
        "units": key.unit or None,
        "decimals": key.decimals,
        "funcBody": None,
        "usePostProcessing": post is not None,
        "postFuncBody": post,
    }


def field_key(name: str, label: str) -> Json:
    """Return a field of the device itself, such as its name."""
    return {
        "name": name,
        "type": "entityField",
        "label": label,
        "color": NEUTRAL,
        "settings": {"columnWidth": "150px"},
        "funcBody": None,
        "usePostProcessing": None,
        "postFuncBody": None,
    }


def source(alias: Alias, keys: Sequence[Json], filter_id: str | None = None) -> Json:
    """Return a data source: keys of the devices of an alias."""
    return {
        "type": "entity",
        "name": "",
        "entityAliasId": alias.id,
        "filterId": filter_id,
        "dataKeys": list(keys),
    }


def timewindow(span_ms: int, interval_ms: int, aggregation: str = "NONE") -> Json:
    """Return a time window that ends now."""
    return {
        "selectedTab": 0,
        "realtime": {"realtimeType": 0, "timewindowMs": span_ms, "interval": interval_ms},
        "aggregation": {"type": aggregation, "limit": 25_000},
    }


def _own_time(window: Json | None) -> Json:
    if window is None:
        return {"useDashboardTimewindow": True}
    return {"useDashboardTimewindow": False, "displayTimewindow": True, "timewindow": window}


def _frame(title: str) -> Json:
    return {
        "title": title,
        "showTitle": True,
        "titleStyle": {"fontSize": "16px", "fontWeight": 500},
        "backgroundColor": "#ffffff",
        "color": "rgba(0, 0, 0, 0.87)",
        "padding": "8px",
        "margin": "0px",
        "borderRadius": "4px",
        "dropShadow": True,
        "enableFullscreen": True,
        "actions": {},
    }


def count(
    label: str, alias: Alias, filter_id: str | None, icon: str, colour: str = NEUTRAL
) -> Widget:
    """Show how many devices of an alias pass a filter."""
    counted = {
        "type": "entityCount",
        "name": "",
        "entityAliasId": alias.id,
        "filterId": filter_id,
        "dataKeys": [_count_key(label)],
    }
    return Widget("system.entity_count", "latest", _count(label, counted, icon, colour))


def alarm_count(label: str, alias: Alias, severities: Sequence[str] = ()) -> Widget:
    """Show how many active alarms of these severities (of all, if none) the devices have."""
    counted = {
        "type": "alarmCount",
        "name": "",
        "entityAliasId": alias.id,
        "filterId": None,
        "dataKeys": [_count_key(label)],
        "alarmFilterConfig": _alarm_filter(severities),
    }
    return Widget("system.alarm_count", "latest", _count(label, counted, "warning", BAD))


def _count_key(label: str) -> Json:
    return {"name": "count", "type": "count", "label": label, "color": NEUTRAL, "settings": {}}


def _count(label: str, counted: Json, icon: str, colour: str) -> Json:
    settings = {
        "layout": "column",
        "label": label,
        "showLabel": True,
        "showIcon": True,
        "icon": icon,
        "iconSize": 20,
        "iconSizeUnit": "px",
        "showIconBackground": True,
        "iconBackgroundSize": 36,
        "iconBackgroundSizeUnit": "px",
        "iconBackgroundColor": {"type": "constant", "color": colour},
        "iconColor": {"type": "constant", "color": "#ffffff"},
        "valueColor": {"type": "constant", "color": "rgba(0, 0, 0, 0.87)"},
        "labelColor": {"type": "constant", "color": "rgba(0, 0, 0, 0.54)"},
    }
    frame = _frame(label) | {"showTitle": False, "padding": "0px", "enableFullscreen": False}
    return {**frame, "datasources": [counted], "settings": settings}


def _alarm_filter(severities: Sequence[str]) -> Json:
    return {
        "statusList": ["ACTIVE"],
        "severityList": list(severities),
        "typeList": [],
        "searchPropagatedAlarms": False,
    }


def card(key: Key, alias: Alias, icon: str, *, post: str | None = None) -> Widget:
    """Show the latest value of a key, and when it came."""
    settings = {
        "layout": "square",
        "showLabel": True,
        "labelFont": _font(14),
        "labelColor": {"type": "constant", "color": "rgba(0, 0, 0, 0.54)"},
        "showIcon": True,
        "icon": icon,
        "iconSize": 24,
        "iconSizeUnit": "px",
        "iconColor": {"type": "constant", "color": NEUTRAL},
        "valueFont": _font(26),
        "valueColor": {"type": "constant", "color": "rgba(0, 0, 0, 0.87)"},
        "showDate": True,
        "dateFormat": {"format": None, "lastUpdateAgo": True, "custom": False},
        "dateFont": _font(11),
        "dateColor": {"type": "constant", "color": "rgba(0, 0, 0, 0.38)"},
        "background": _white(),
        "autoScale": True,
    }
    frame = _frame(key.label) | {"showTitle": False, "padding": "0px", "enableFullscreen": False}
    return Widget(
        "system.cards.value_card",
        "latest",
        {
            **frame,
            "units": key.unit,
            "decimals": key.decimals,
            "datasources": [source(alias, [data_key(key, post=post)])],
            "settings": settings,
        },
    )


def _font(size: int) -> Json:
    return {
        "family": "Roboto",
        "size": size,
        "sizeUnit": "px",
        "style": "normal",
        "weight": "500",
        "lineHeight": "1.2",
    }


def _white() -> Json:
    return {
        "type": "color",
        "color": "#fff",
        "overlay": {"enabled": False, "color": "rgba(255,255,255,0.72)", "blur": 3},
    }


def devices(
    title: str,
    alias: Alias,
    keys: Sequence[Json],
    *,
    opens: str | None = None,
    sort: str = "Name",
    filter_id: str | None = None,
    rows: int = 10,
) -> Widget:
    """Show a table of devices; a click on a row opens the state `opens` of the dashboard."""
    settings = {
        "entitiesTitle": title,
        "enableSearch": True,
        "enableSelectColumnDisplay": True,
        "enableStickyHeader": True,
        "enableStickyAction": False,
        "displayEntityName": False,
        "displayEntityLabel": False,
        "displayEntityType": False,
        "displayPagination": True,
        "defaultPageSize": rows,
        "defaultSortOrder": sort,
        "useRowStyleFunction": False,
    }
    click = {
        "id": "9a1c6f0e-6a6d-4a58-9f0c-2d5f6f1f0001",
        "name": "open",
        "icon": "more_horiz",
        "type": "openDashboardState",
        "targetDashboardStateId": opens,
        "setEntityId": True,
        "stateEntityParamName": None,
        "openRightLayout": False,
    }
    return Widget(
        "system.cards.entities_table",
        "latest",
        {
            **_frame(title),
            "padding": "4px",
            "datasources": [source(alias, [field_key("name", "Name"), *keys], filter_id)],
            "settings": settings,
            "actions": {"rowClick": [click]} if opens else {},
        },
    )


def styled(key: Key, style: str, **more: Any) -> Json:
    """Return a column of a table whose cells have a style."""
    return data_key(
        key, settings={"useCellStyleFunction": True, "cellStyleFunction": style}, **more
    )


def computed(key: Key, label: str, body: str) -> Json:
    """Return a column whose cells are made by a function of `value` and `entity`."""
    return data_key(
        key, label=label, settings={"useCellContentFunction": True, "cellContentFunction": body}
    )


def attributes(title: str, alias: Alias, keys: Sequence[Key]) -> Widget:
    """Show names and latest values, one below the other."""
    return Widget(
        "system.cards.attributes_card",
        "latest",
        {
            **_frame(title),
            "datasources": [source(alias, [data_key(key) for key in keys])],
            "settings": {},
        },
    )


def chart(
    title: str,
    alias: Alias,
    keys: Sequence[Key],
    *,
    bars: bool = False,
    post: str | None = None,
    window: Json | None = None,
    limits: Sequence[float] = (),
    devices_at_most: int | None = None,
    unit: str | None = None,
) -> Widget:
    """Show lines or bars over time, with dashed lines at `limits`."""
    drawn: Json = (
        {"type": "bar"}
        if bars
        else {"type": "line", "lineSettings": {"showLine": True, "lineWidth": 2, "smooth": False}}
    )
    unit = keys[0].unit if unit is None else unit
    series = [
        data_key(
            key,
            colour=_COLOURS[n % len(_COLOURS)],
            label=None if devices_at_most is None else "${entityName}",
            post=post,
            settings=drawn,
        )
        for n, key in enumerate(keys)
    ]
    axis = {
        "id": "default",
        "order": 0,
        "show": True,
        "units": unit,
        "decimals": keys[0].decimals,
        "position": "left",
    }
    settings = {
        "showLegend": len(keys) > 1 or devices_at_most is not None,
        "legendConfig": {
            "direction": "row",
            "position": "bottom",
            "sortDataKeys": False,
            **dict.fromkeys(("showMin", "showMax", "showAvg", "showTotal", "showLatest"), False),
        },
        "dataZoom": False,
        "thresholds": [_limit(at, unit) for at in limits],
        "yAxes": {"default": axis},
        "background": _white(),
        "padding": "12px",
    }
    size = {} if devices_at_most is None else {"pageSize": devices_at_most}
    return Widget(
        "system.time_series_chart",
        "timeseries",
        {
            **_frame(title),
            "padding": "0px",
            "units": unit,
            "decimals": keys[0].decimals,
            "datasources": [source(alias, series)],
            "settings": settings,
            **size,
            **_own_time(window),
        },
    )


def _limit(at: float, unit: str) -> Json:
    return {
        "type": "constant",
        "value": at,
        "yAxisId": "default",
        "units": unit,
        "decimals": 0,
        "lineColor": BAD,
        "lineType": "dashed",
        "lineWidth": 1,
        "startSymbol": "none",
        "endSymbol": "none",
        "showLabel": True,
        "labelPosition": "insideEndTop",
        "labelColor": BAD,
    }


def rows(title: str, alias: Alias, keys: Sequence[Key], window: Json) -> Widget:
    """Show a table of values with their times, the newest first."""
    settings = {
        "enableSearch": True,
        "showTimestamp": True,
        "dateFormat": {"format": "yyyy-MM-dd HH:mm:ss"},
        "displayPagination": True,
        "defaultPageSize": 10,
        "hideEmptyLines": True,
        "sortOrder": {"property": "createdTime", "direction": "DESC"},
    }
    return Widget(
        "system.cards.timeseries_table",
        "timeseries",
        {
            **_frame(title),
            "datasources": [source(alias, [data_key(key) for key in keys])],
            "settings": settings,
            **_own_time(window),
        },
    )


#: The columns of a table of alarms: fields of an alarm and their labels.
_ALARM_FIELDS = {
    "createdTime": "Time",
    "originatorDisplayName": "Device",
    "type": "Alarm",
    "severity": "Severity",
    "status": "Status",
}


def alarms(title: str, alias: Alias) -> Widget:
    """Show the active alarms of the devices; they can be acknowledged and cleared."""
    fields = [
        {"name": name, "type": "alarm", "label": label, "color": NEUTRAL, "settings": {}}
        for name, label in _ALARM_FIELDS.items()
    ]
    settings = {
        "alarmsTitle": title,
        "enableSelection": True,
        "enableSearch": True,
        "displayDetails": True,
        "allowAcknowledgment": True,
        "allowClear": True,
        "allowAssign": False,
        "displayPagination": True,
        "defaultPageSize": 10,
        "defaultSortOrder": "-createdTime",
        "enableFilter": True,
    }
    return Widget(
        "system.alarm_widgets.alarms_table",
        "alarm",
        {
            **_frame(title),
            "padding": "4px",
            "alarmSource": source(alias, fields),
            "alarmFilterConfig": _alarm_filter(()),
            "alarmsPollingInterval": 5,
            "settings": settings,
            **_own_time(timewindow(30 * DAY_MS, 1000)),
        },
    )


#: Calls a method of a device and shows its answer. Widgets made for switches send their calls
#: one way, so that a refusal is not seen.
_CALL = """\
const call = () => widgetContext.deviceService.sendTwoWayRpcCommand(entityId.id,
  {method: METHOD, params: PARAMS, timeout: 60000}, {ignoreErrors: true}).subscribe({
    next: (answer) => answer && answer.error
      ? widgetContext.showErrorToast(LABEL + ': ' + answer.error)
      : widgetContext.showSuccessToast(
          LABEL + ': ' + JSON.stringify(answer && answer.result), 8000),
    error: (problem) => widgetContext.showErrorToast(LABEL + ': ' + (problem.status === 504
      ? 'no answer within 60 s' : problem.status === 409 ? 'the meter is not connected'
      : problem.message))
  });
"""
_ASK = """\
widgetContext.dialogs.confirm(LABEL, QUESTION, 'Cancel', LABEL).subscribe((yes) => yes && call());
"""


def button(
    label: str,
    alias: Alias,
    method: str,
    icon: str,
    *,
    params: Mapping[str, Any] | None = None,
    question: str | None = None,
    colour: str = NEUTRAL,
) -> Widget:
    """Call a method of the device, after a question if there is one, and show the answer."""
    code = _CALL + (_ASK if question else "call();")
    words = {"METHOD": method, "LABEL": label, "QUESTION": question, "PARAMS": dict(params or {})}
    for word, value in words.items():
        code = code.replace(word, json.dumps(value))
    click = {
        "id": "9a1c6f0e-6a6d-4a58-9f0c-2d5f6f1f0002",
        "name": "call",
        "icon": icon,
        "type": "custom",
        "customFunction": code,
    }
    appearance = {
        "type": "outlined",
        "autoScale": True,
        "showLabel": True,
        "label": label,
        "showIcon": True,
        "icon": icon,
        "iconSize": 24,
        "iconSizeUnit": "px",
        "mainColor": colour,
        "backgroundColor": "#ffffff",
        "customStyle": dict.fromkeys(
            ("enabled", "hovered", "pressed", "activated", "disabled"), None
        ),
    }
    frame = _frame(label) | {"showTitle": False, "padding": "0px", "enableFullscreen": False}
    return Widget(
        "system.action_button",
        "latest",
        {
            **frame,
            "datasources": [source(alias, [])],
            "settings": {"appearance": appearance},
            "actions": {"click": [click]},
        },
    )


def terminal(title: str, alias: Alias) -> Widget:
    """Take calls as they are typed, and show their answers."""
    return Widget(
        "system.control_widgets.rpc_debug_terminal",
        "rpc",
        {
            **_frame(title),
            "padding": "0px",
            "backgroundColor": "#010101",
            "color": "rgba(255, 254, 254, 0.87)",
            "targetDevice": {"type": "entity", "entityAliasId": alias.id},
            "settings": {"requestTimeout": 60_000},
        },
    )


def note(title: str, text: str) -> Widget:
    """Show a text in Markdown."""
    return Widget(
        "system.cards.markdown_card",
        "latest",
        {
            **_frame(title),
            "showTitle": False,
            "datasources": [],
            "settings": {
                "useMarkdownTextFunction": False,
                "markdownTextPattern": text,
                "applyDefaultMarkdownStyle": True,
            },
        },
    )
