"""The page on a run: one HTML file that needs no network, made from the files of the run folder alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nas.charts import Chart, front_chart, reward_chart
from nas.drift import drift_of, front_near
from nas.health_charts import health_charts
from nas.network_table import COLUMNS, NetworkRow, describe, network_rows
from nas.pages import PAGE, render_page, write_page
from nas.pareto import front_of
from nas.report_data import Report, flatten, read_report
from nas.report_words import chart_summaries, key_facts, lead, title
from nas.search import Trial
from search_spaces import Arch, lower


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write a run's page to ``out``, or ``report.html`` into its folder; ``InputError`` if the folder holds no run."""
    path = run / PAGE if out is None else out
    write_page(path, render(read_report(run)))
    return path


def render(report: Report, version: str | None = None) -> str:
    """Make the page; the template escapes whatever comes from files. ``version``: it is served (`render_page`)."""
    networks = _networks(report)
    descriptions = {trial.key: _tokens(trial) for trial in report.results}
    descriptions |= {key: describe(arch) for key, arch in networks.items()}
    health = health_charts(report.updates, report.decisions)
    charts = _charts(report, descriptions)
    told, shown, target = report.config, report.network.arch if report.network else None, report.target
    drift = drift_of(report.trials, target, str(told.get("reward")), str(told.get("controller"))) if target else None
    return render_page(
        "report.html",
        title=title(report),
        lead=lead(report),
        facts=key_facts(report),
        config=told,
        environment=report.environment,
        data={
            "charts": charts | {drawn.id: drawn.chart for drawn in health},
            "overhead_ms": _overhead_ms(report),
            **_clickable(report, networks),
        },
        version=version,
        report=report,
        charts=charts,
        health=health,
        summaries=chart_summaries(report),
        front=_listed(front_of(report.results), descriptions),
        drift=str(drift) if drift else "",
        near=_listed(front_near(report.results, target), descriptions) if drift and target else [],
        description=describe(shown) if shown else "",
        columns=COLUMNS,
        rows=_rows(report, shown) if shown else [],
        overhead_ms=_overhead_ms(report),
        seed_facts=list(flatten(report.network.facts)) if report.network else [],
        failures=[trial for trial in report.trials if trial.state == "failed"],
    )


def _networks(report: Report) -> dict[str, Arch]:
    """Build every network that has a result, by its key; none where the run's space is not at hand."""
    if report.space is None:
        return {}
    return {trial.key: report.space.decode(trial.tokens) for trial in report.results}


def _tokens(trial: Trial) -> str:
    """Name a network by its tokens, all that is known of it where the run has no space."""
    return f"tokens {' '.join(map(str, trial.tokens))}"


def _charts(report: Report, descriptions: dict[str, str]) -> dict[str, Chart]:
    if not report.results:
        return {}
    return {
        "front": front_chart(report.results, descriptions, report.target_ms, report.network),
        "rewards": reward_chart(report.trials),
    }


def _listed(trials: Iterable[Trial], descriptions: dict[str, str]) -> list[dict[str, Any]]:
    """List networks for a table of them."""
    return [
        {
            "trial": trial.trial,
            "latency_ms": trial.latency_ms,
            "accuracy": trial.accuracy,
            "reward": trial.reward,
            "network": descriptions.get(trial.key, ""),
        }
        for trial in trials
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
    known = {trial.key for trial in report.results}
    trials = {
        trial.trial: {
            "latency_ms": trial.latency_ms,
            "accuracy": trial.accuracy,
            "reward": trial.reward,
            "network": trial.key if trial.key in tables else None,
            "tokens": "" if trial.key in tables else _tokens(trial),
        }
        for trial in report.trials
        if trial.key in known
    }
    return {
        "rows": [[row.cells, row.macs, row.params, row.latency_ms] for row in numbers],
        "networks": tables,
        "trials": trials,
    }
