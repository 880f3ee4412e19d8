"""The page on a NetAdapt: one HTML file that needs no network, made from what its folder records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from nas.charts import line_chart
from nas.netadapt.adapt import Judged, Kept
from nas.netadapt.config import AdaptConfig
from nas.netadapt.folder import AdaptFolder
from nas.netadapt.summary import AdaptSummary
from nas.network_table import COLUMNS, NetworkRow, describe, network_rows
from nas.pages import PAGE, Fact, render_page
from nas.recorded import config_to_dict, write_atomically
from search_spaces import Arch, read_yaml

_EXPANSION, _OUT, _SE = (COLUMNS.index(name) for name in ("Expansion", "Out", "SE"))


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as the page tells it: what was kept, and the proposals that were not, the best first."""

    kept: Kept
    saved_ms: float
    gained: float
    others: list[Judged]


def write_adapt_report(folder: AdaptFolder, config: AdaptConfig, steps: Sequence[Kept], summary: AdaptSummary) -> Path:
    """Write ``report.html`` into a run's folder."""
    path = folder.path / PAGE
    environment = read_yaml(folder.path / "environment.json")  # JSON is YAML
    write_atomically(path, render(config, steps, folder.read_judged(), summary, environment))
    return path


def render(
    config: AdaptConfig,
    steps: Sequence[Kept],
    judged: Sequence[Judged],
    summary: AdaptSummary,
    environment: Mapping[str, Any],
) -> str:
    """Make the page; the template escapes whatever comes from files."""
    chart = line_chart(
        "latency (ms)",
        "accuracy (%)",
        [step.latency_ms for step in steps],
        {"kept after each step": [100 * step.accuracy for step in steps]},
    )
    return render_page(
        "adapt.html",
        title=f"{config.arch.name} adapted to {config.target_ms:.4g} ms on {summary.device}",
        lead=describe(steps[-1].arch),
        facts=_facts(summary),
        chart_summary=_chart_summary(steps),
        rows=step_rows(steps, judged),
        widths=width_rows(steps[0].arch, steps[-1].arch),
        config={name: value for name, value in config_to_dict(config).items() if name != "arch"},
        environment=environment,
        data={"charts": {"way": chart}},
    )


def step_rows(steps: Sequence[Kept], judged: Sequence[Judged]) -> list[StepRow]:
    """Tell each step but the seed's; a proposal that was judged twice, after a failure, counts once."""
    last = {one.key: one for one in judged}
    rows = []
    for before, kept in pairwise(steps):
        others = [one for one in last.values() if one.base in ("", before.key) and one.step == kept.step]
        others = [one for one in others if one.key != kept.key]
        others.sort(key=lambda one: -1.0 if one.accuracy is None else one.accuracy, reverse=True)
        saved, gained = before.latency_ms - kept.latency_ms, kept.accuracy - before.accuracy
        rows.append(StepRow(kept, saved, gained, others))
    return rows


def width_rows(before: Arch, after: Arch) -> list[dict[str, Any]]:
    """Set the widths of each Op of two networks of the same layers side by side: expansion, output, squeeze."""

    def cells(one: NetworkRow, other: NetworkRow, column: int) -> tuple[str, str]:
        return one.cells[column], other.cells[column]

    pairs = zip(network_rows(before, None), network_rows(after, None), strict=True)
    return [
        {
            "op": f"{index} {one.cells[1]} {one.cells[2]}" if 0 <= index < len(before.blocks) else one.cells[1],
            "widths": [cells(one, other, column) for column in (_EXPANSION, _OUT, _SE)],
        }
        for index, (one, other) in enumerate(pairs, start=-1)  # the stem is no block
    ]


def _facts(summary: AdaptSummary) -> list[Fact]:
    return [
        Fact("latency", f"{summary.seed_latency_ms:.3f} → {summary.latency_ms:.3f} ms"),
        Fact("of the seed's", f"{summary.latency_ms / summary.seed_latency_ms:.1%}"),
        Fact("target", f"{summary.target_ms:.4g} ms{'' if summary.reached else ', not reached'}"),
        Fact("accuracy, held-out", f"{summary.seed_accuracy:.2%} → {summary.accuracy:.2%}"),
        Fact("steps", str(summary.steps)),
    ]


def _chart_summary(steps: Sequence[Kept]) -> str:
    first, last = steps[0], steps[-1]
    return (
        f"From the seed, {first.accuracy:.2%} at {first.latency_ms:.3f} ms, to {last.accuracy:.2%} at "
        f"{last.latency_ms:.3f} ms in {last.step} steps; accuracies on held-out training images, after a little "
        "fine-tuning each."
    )
