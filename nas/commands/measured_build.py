"""The measuring half of nas-build-lut: progress, the build, the check and its table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from latency import LatencyTable, save_table
from latency.check import Check, check_networks, judge, time_twice, with_accuracy
from latency.journal import Journal
from latency.measured_table import plan, table_from
from latency.protocol import Protocol
from latency.source import Chain, LatencySource, ProfilingSource
from latency.sweeps import take
from nas.charts import prediction_page
from search_spaces import Arch, SearchSpace

if TYPE_CHECKING:
    from latency.measured_table import Plan
    from latency.protocol import Measurement

JOURNAL_SUFFIX = ".measurements"


def build_measured(
    source: LatencySource,
    spaces: Sequence[SearchSpace],
    archs: Sequence[Arch],
    path: Path,
    protocol: Protocol,
    check_protocol: Protocol,
    check: int,
) -> tuple[LatencyTable, Check | None]:
    """Measure, write the table, check it on ``check`` networks, and write it again with what that showed."""
    with closing(Journal(path.with_name(path.name + JOURNAL_SUFFIX), source.facts)) as journal:
        return _build(source, spaces, archs, path, journal, (protocol, check_protocol), check)


def _build(
    source: LatencySource,
    spaces: Sequence[SearchSpace],
    archs: Sequence[Arch],
    path: Path,
    journal: Journal,
    protocols: tuple[Protocol, Protocol],
    check: int,
) -> tuple[LatencyTable, Check | None]:
    protocol = protocols[0]
    planned = plan(spaces, archs, isinstance(source, ProfilingSource))
    chains = planned.chains() + planned.profiled()
    found = sum(bool(journal.taken("table", chain)) for chain in chains)
    if found:
        print(f"{found} of {len(chains)} were measured before and stand in {journal.path}; delete it to start over")
    with _progress("Ops, and networks whole") as on_progress:
        measurements = take(source, planned.chains(), journal, protocol, on_progress)
    if planned.covering:
        with _progress("Ops inside networks") as on_progress:
            profiled = replace(protocol, sweeps=min(protocol.sweeps, 2))  # each Op stands in several networks anyway
            measurements += take(source, planned.profiled(), journal, profiled, on_progress, profile=True)
    table = table_from(planned, measurements, source.facts, date.today())
    save_table(table, path)
    if not check:
        return table, None
    result = _check(source, spaces, planned, check, journal, protocols, table, measurements)
    table = with_accuracy(table, result.table.accuracy)
    save_table(table, path)
    _draw(result, path.with_suffix(".check.html"), table)
    return table, result


def _check(
    source: LatencySource,
    spaces: Sequence[SearchSpace],
    planned: "Plan",
    count: int,
    journal: Journal,
    protocols: tuple[Protocol, Protocol],
    table: LatencyTable,
    measurements: "Sequence[Measurement]",
) -> Check:
    chains = check_networks(spaces, count, (*planned.covering, *planned.teaching))
    networks = [one for one in measurements if len(one.chain) > 1]
    with _progress("networks for the check, twice") as on_progress:
        timed = time_twice(source, chains, networks, journal, protocols[1], on_progress)
    alone: list[Chain] = list(dict.fromkeys((op,) for chain in chains for op in chain))
    with _progress("their Ops alone, for comparison") as on_progress:
        singles = take(source, alone, journal, protocols[0], on_progress)
    return judge(table, networks, singles, timed)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn(what), MofNCompleteColumn(), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_check(result: Check) -> None:
    """Print how well the table and its peers predict."""
    shown = Table(box=None, pad_edge=False)
    for name in ("predicted by", "mean error", "within 5 %", "within 10 %", "worst", "bias", "Spearman"):
        shown.add_column(name, justify="left" if name == "predicted by" else "right", no_wrap=True)
    for one in (result.table, *result.peers):
        found = one.accuracy
        shown.add_row(
            one.name,
            f"{found.mape:.1%}",
            f"{found.within_5_percent:.0%}",
            f"{found.within_10_percent:.0%}",
            f"{found.worst:.1%}",
            f"{found.bias:+.1%}",
            f"{found.spearman:.4f}",
        )
    console = Console()
    if not console.is_terminal:
        console.width = 120  # in a pipe there is no width to fit; nothing is cut short
    console.print(shown)
    print(
        f"{result.table.accuracy.networks} networks that the table never saw; the same networks timed twice differ by "
        f"{result.table.accuracy.noise_floor:.1%} on average, the noise floor"
    )


def _draw(result: Check, path: Path, table: LatencyTable) -> None:
    predicted = {one.name: one.predicted_ms for one in (result.table, *result.peers)}
    page = prediction_page(result.measured_ms, predicted, f"Latency on {table.header.device}, predicted and measured")
    path.write_text(page, encoding="utf-8")
    print(f"wrote {path}: predicted over measured times")


def check_json(result: Check) -> dict[str, dict[str, object]]:
    """Give a check for ``--json``."""
    return {one.name: one.accuracy.model_dump(exclude_none=True) for one in (result.table, *result.peers)}
