"""The page on a run: one HTML file that needs no network, made from the files of the run folder alone."""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nas.charts import Chart, entropy_chart, front_chart, reward_chart
from nas.network_table import COLUMNS, NetworkRow, describe, network_rows
from nas.pareto import pareto_front
from nas.report_data import Report, flatten, read_report
from nas.report_words import chart_summaries, key_facts, title
from nas.run_folder import write_atomically
from search_spaces import Arch, lower

PAGE = "report.html"


def write_report(run: Path) -> Path:
    """Write ``report.html`` into a run's folder; ``InputError`` if the folder holds no run."""
    path = run / PAGE
    write_atomically(path, render(read_report(run)))
    return path


def render(report: Report) -> str:
    """Make the page; the template escapes whatever comes from files."""
    scripts = [get_plotlyjs(), resource("report.js")]
    networks = _networks(report)
    descriptions = {key: describe(arch) for key, arch in networks.items()}
    charts = _charts(report, descriptions)
    shown = report.network
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return page.from_string(resource("report.html")).render(
        title=title(report),
        facts=key_facts(report),
        report=report,
        charts=charts,
        summaries=chart_summaries(report),
        front=_front(report, descriptions),
        description=describe(shown.arch) if shown else "",
        columns=COLUMNS,
        rows=_rows(report, shown.arch) if shown else [],
        overhead_ms=_overhead_ms(report),
        seed_facts=list(flatten(shown.facts)) if shown else [],
        failures=[trial for trial in report.trials if trial.state == "failed"],
        config=list(flatten(report.config)),
        environment=list(flatten(report.environment)),
        styles=Markup(resource("report.css")),  # ours, as are the scripts
        scripts=[Markup(script) for script in scripts],
        policy="script-src " + " ".join(script_hash(script) for script in scripts),
        data={"charts": charts, "overhead_ms": _overhead_ms(report), **_clickable(report, networks)},
    )


def _networks(report: Report) -> dict[str, Arch]:
    """Build every network that has a result, by its key; none where the run's space is not at hand."""
    if report.space is None:
        return {}
    return {trial.key: report.space.decode(trial.tokens) for trial in report.results}


def _charts(report: Report, descriptions: dict[str, str]) -> dict[str, Chart]:
    charts: dict[str, Chart | None] = {}
    if report.results:
        charts["front"] = front_chart(report.results, descriptions, report.target_ms, report.network)
        charts["rewards"] = reward_chart(report.trials)
    charts["entropy"] = entropy_chart(report.updates)
    return {name: chart for name, chart in charts.items() if chart is not None}


def _front(report: Report, descriptions: dict[str, str]) -> list[dict[str, Any]]:
    """List the networks of the front for the table beneath its chart."""
    results = report.results
    front = [results[index] for index in pareto_front([(t.latency_ms, t.accuracy or 0.0) for t in results])]
    return [
        {
            "trial": trial.trial,
            "latency_ms": trial.latency_ms,
            "accuracy": trial.accuracy,
            "reward": trial.reward,
            "network": descriptions.get(trial.key, ""),
        }
        for trial in front
    ]


def _rows(report: Report, arch: Arch) -> list[NetworkRow]:
    """Give a network's rows, with times where the table has all its Ops."""
    table = report.table
    return network_rows(arch, table.op_ms if table and not table.missing(lower(arch)) else None)


def _overhead_ms(report: Report) -> float:
    return report.table.header.overhead_ms if report.table else 0.0


def _clickable(report: Report, networks: dict[str, Arch]) -> dict[str, Any]:
    """Give what a click on a trial shows; rows that networks share are written once, or 8,000 trials would not fit."""
    numbers: dict[NetworkRow, int] = {}
    tables = {
        key: [numbers.setdefault(row, len(numbers)) for row in _rows(report, arch)] for key, arch in networks.items()
    }
    trials = {
        trial.trial: {
            "latency_ms": trial.latency_ms,
            "accuracy": trial.accuracy,
            "reward": trial.reward,
            "network": trial.key,
        }
        for trial in report.trials
        if trial.key in tables
    }
    return {
        "rows": [[row.cells, row.macs, row.params, row.latency_ms] for row in numbers],
        "networks": tables,
        "trials": trials,
    }


def resource(name: str) -> str:
    """Read a file of the pages: a template, a style sheet or a script."""
    return (resources.files("nas") / "page" / name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """Name a script for the page's content security policy, which lets no other run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
