"""The dashboard for Grafana, made of the description; see `make docs`.

Each metric with a title has a panel, so that a renamed one cannot leave a panel empty.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from dlms_connector.metrics.description import CONNECTED, METRICS, Metric

_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
#: What a panel of one connector selects; both variables take several values, or all.
_SELECTED = 'job=~"$job", instance=~"$instance"'
#: Grafana shows what it got within four scrapes.
_RATE = "[$__rate_interval]"
FILE = "grafana/dlms-connector.json"
_PART = re.compile(r"(<!-- metrics: table -->\n).*?(<!-- end -->)", re.DOTALL)


def expressions(metric: Metric) -> tuple[tuple[str, str], ...]:
    """Return the queries of a panel, each with its legend."""
    if metric.kind == "histogram":
        buckets = f"sum by (le) (rate({metric.name}_bucket{{{_SELECTED}}}{_RATE}))"
        mean = (
            f"sum(rate({metric.name}_sum{{{_SELECTED}}}{_RATE})) / "
            f"sum(rate({metric.name}_count{{{_SELECTED}}}{_RATE}))"
        )
        slow = [(f"histogram_quantile({part}, {buckets})", f"{part:.0%}") for part in (0.5, 0.95)]
        return (*slow, (mean, "mean"))
    by = f" by ({', '.join(metric.labels)})" if metric.labels else ""
    legend = "{{" + metric.labels[0] + "}}" if metric.labels else metric.sample
    if metric.kind == "counter":
        within = _RATE if metric.unit != "short" else "[$__range]"
        function = "rate" if metric.unit != "short" else "increase"
        query = f"sum{by} ({function}({metric.sample}{{{_SELECTED}}}{within}))"
    elif metric is CONNECTED:
        query = f"min({metric.sample}{{{_SELECTED}}})"
    else:
        query = f"sum{by} ({metric.sample}{{{_SELECTED}}})"
    return ((query, legend),)


def dashboard() -> dict[str, Any]:
    """Return the dashboard, as it is imported."""
    shown = [metric for metric in METRICS if metric.panel]
    return {
        "uid": "dlms-connector",
        "title": "DLMS connector",
        "tags": ["dlms"],
        "timezone": "browser",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource",
                 "query": "prometheus"},
                _variable("job", "Job", "label_values(dlms_build_info, job)"),
                _variable("instance", "Gateway", 'label_values(dlms_build_info{job=~"$job"}, '
                                                 "instance)"),
            ]
        },
        "panels": [_panel(place, metric) for place, metric in enumerate(shown)],
    }  # fmt: skip


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "type": "query", "datasource": _SOURCE, "query": query,
        "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def _panel(place: int, metric: Metric) -> dict[str, Any]:
    row, column = divmod(place, _COLUMNS)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": metric.panel,
        "description": metric.means,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": metric.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query,
             "legendFormat": legend}
            for number, (query, legend) in enumerate(expressions(metric))
        ],
    }  # fmt: skip


def written() -> str:
    """Return the text of the file."""
    return json.dumps(dashboard(), indent=2) + "\n"


def table() -> str:
    """Return the metrics as a table for the documentation."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        more = " Only with `perMeter`." if metric.per_meter else ""
        lines.append(f"| `{metric.sample}` | {metric.kind} | {labels} | {metric.means}{more} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """Return a document with the table written anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{table()}\n{part[2]}", text)


if __name__ == "__main__":
    (Path(sys.argv[1]) / FILE).write_text(written(), "utf-8")
    document = Path(sys.argv[2]) / "metrics.md"
    document.write_text(filled(document.read_text("utf-8")), "utf-8")
