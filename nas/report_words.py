"""The report's sentences: its title, its key facts, and what each chart says for those who cannot see it."""

import math
from collections import Counter
from pathlib import Path

from nas.pages import Fact
from nas.pareto import front_of
from nas.report_data import Report
from nas.updates import number


def title(report: Report) -> str:
    """Name the search by its target and device."""
    device = report.config.get("device", "an unnamed device")
    return f"Search for {_ms(report.target_ms)} on {device}"


def lead(report: Report) -> str:
    """Say who searched where, and by which accuracies."""
    told = report.config
    by_table = told.get("evaluator") == "table"
    source = f"accuracies of {Path(str(told.get('accuracies'))).name}" if by_table else f"data {told.get('data', '?')}"
    space = f"on space {told['space']}, " if told.get("space") else ""
    return f"{told.get('controller', '?')} {space}{source}, seed {told.get('seed', '?')}"


def key_facts(report: Report) -> list[Fact]:
    """Say what the search came to, most important first."""
    facts = []
    network = report.network
    if network is not None:
        final = network.facts.get("final")
        accuracy = number(final.get("accuracy")) if isinstance(final, dict) else None
        if accuracy is not None:
            facts.append(Fact("Seed, after final training", _percent(accuracy), "accuracy on the proxy task"))
        name = "Seed" if network.chosen else "Best network so far"
        facts.append(Fact(f"{name}, in the search", _percent(network.accuracy), f"trial {network.trial}"))
        facts.append(Fact("Latency", _ms(network.latency_ms), _distance(network.latency_ms, report.target_ms)))
        reward = "–" if network.reward is None else f"{network.reward:.4f}"
        facts.append(Fact("Reward", reward, _reward_rule(report)))
    facts.append(Fact("Trials", f"{len(report.trials):,}", _states(report)))
    seconds = sum(trial.seconds for trial in report.trials)
    facts.append(Fact("Training in the search", _duration(seconds), "summed over all trials"))
    return facts


def chart_summaries(report: Report) -> dict[str, str]:
    """Say in a sentence or two what each chart shows."""
    summaries = {}
    results = report.results
    if results:
        front = front_of(results)
        first, last = (f"{_percent(trial.accuracy)} at {_ms(trial.latency_ms)}" for trial in (front[0], front[-1]))
        summaries["front"] = (
            f"{len(results)} networks, {len(front)} of them on the Pareto front, which runs from {first} to {last}."
        )
        best = max((t for t in report.trials if t.state != "failed"), key=lambda t: t.reward or 0.0)
        summaries["rewards"] = (
            f"The best reward of {len(report.trials)} trials, {best.reward or 0.0:.4f}, came at trial {best.trial}."
        )
    return summaries


def _ms(value: float | None) -> str:
    return "an unknown latency" if value is None else f"{value:.4g} ms"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _distance(latency_ms: float | None, target_ms: float | None) -> str:
    if latency_ms is None or not target_ms:
        return ""
    gap = latency_ms - target_ms
    side = "over" if gap > 0 else "under"
    return f"{abs(gap):.2f} ms ({100 * abs(gap) / target_ms:.1f} %) {side} the target of {target_ms:g} ms"


def _reward_rule(report: Report) -> str:
    w = report.config.get("w")
    return f"{report.config.get('reward', 'soft')}{'' if w is None else f', w = {w}'}"


def _states(report: Report) -> str:
    counts = Counter(trial.state for trial in report.trials)
    return ", ".join(f"{counts[state]} {state}" for state in ("finished", "reused", "failed") if counts[state])


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
