"""The page that compares runs: their fronts over each other, their courses, their results and how they were set."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.choice import Choice, choose_seed
from nas.comparison_charts import Course, course_chart, fronts_chart
from nas.pages import Fact, render_page, write_page
from nas.report_data import Report, flatten, read_report
from nas.search import Trial
from nas.target import Target
from search_spaces import InputError

NOT_THERE = "–"


@dataclass(frozen=True, slots=True)
class Compared:
    """A run under the name that tells it from the others; ``choice`` is None where no trial finished."""

    name: str
    report: Report
    choice: Choice | None

    @classmethod
    def of(cls, name: str, report: Report) -> "Compared":
        """Choose as the search does at its end."""
        return cls(name, report, choose_seed(report.trials, report.target or Target(math.inf)))

    @property
    def best(self) -> Trial | None:
        """The most accurate network that hits the run's own target."""
        return self.choice.trial if self.choice is not None and not self.choice.instead else None

    @property
    def failed(self) -> int:
        return sum(trial.state == "failed" for trial in self.report.trials)

    @property
    def hours(self) -> float:
        """Training summed over all trials."""
        return sum(trial.seconds for trial in self.report.trials) / 3600

    @property
    def best_accuracies(self) -> Course:
        """The best accuracy that hit the target up to each trial."""
        target = self.report.target or Target(math.inf)
        scored = [trial for trial in self.report.trials if trial.state != "failed"]
        pairs = [(trial.trial, 100 * (trial.accuracy or 0.0)) for trial in scored if target.hits(trial.latency_ms)]
        return _running(pairs)

    @property
    def best_rewards(self) -> Course:
        """The best reward up to each trial."""
        scored = [trial for trial in self.report.trials if trial.state != "failed"]
        return _running([(trial.trial, trial.reward) for trial in scored if trial.reward is not None])


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write the page that compares these runs; ``InputError`` if a folder holds none, or is given twice."""
    places = [folder.resolve() for folder in folders]
    twice = [str(folder) for index, folder in enumerate(folders) if places[index] in places[:index]]
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice; give each run once")
    reports = [read_report(folder) for folder in folders]
    write_page(out, render_comparison([Compared.of(*pair) for pair in zip(_names(places), reports, strict=True)]))
    return out


def render_comparison(runs: Sequence[Compared]) -> str:
    """Make the page; the template escapes whatever comes from files."""
    settings = _differing([run.report.config for run in runs])
    charts = {
        "fronts": fronts_chart([(run.name, run.report, run.best) for run in runs]),
        "accuracies": course_chart("accuracy (%)", {run.name: run.best_accuracies for run in runs}),
        "best-rewards": course_chart("reward", {run.name: run.best_rewards for run in runs}),
    }
    return render_page(
        "comparison.html",
        title=f"Comparison of {len(runs)} searches",
        lead=", ".join(run.name for run in runs),
        facts=[_fact(run) for run in runs],
        config={},
        environment={},
        data={"charts": charts},
        runs=runs,
        settings=settings,
        environments=_differing([run.report.environment for run in runs]),
        judged_alike=not any(name == "data" or name.startswith("proxy.") for name, _ in settings),
        rewarded_alike=not any(name in ("target_ms", "w", "reward") for name, _ in settings),
    )


def _names(places: Sequence[Path]) -> list[str]:
    """Name folders by as many of their last parts as tell them apart."""
    longest = max(len(place.parts) for place in places)
    for count in range(1, longest + 1):
        names = ["/".join(place.parts[-count:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _fact(run: Compared) -> Fact:
    if run.best is None:
        return Fact(run.name, "none", "no network hit the target")
    trial = run.best
    return Fact(run.name, f"{100 * (trial.accuracy or 0.0):.2f} %", f"{trial.latency_ms:.4g} ms, trial {trial.trial}")


def _differing(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """List the entries in which records differ, with the text of each."""
    flat = [dict(flatten(record)) for record in records]
    names = dict.fromkeys(name for record in flat for name in record)
    rows = [(name, [record.get(name, NOT_THERE) for record in flat]) for name in names]
    return [(name, texts) for name, texts in rows if len(set(texts)) > 1]


def _running(pairs: Sequence[tuple[int, float]]) -> Course:
    """Give the best value so far at each trial."""

    def rising() -> Iterator[tuple[int, float]]:
        best = -math.inf
        for trial, value in pairs:
            best = max(best, value)
            yield trial, best

    return list(rising())
