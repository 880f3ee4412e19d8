"""The charts of a search's health, each with what it says for those who cannot see it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nas.charts import Chart, line_chart, new_figure, plain
from nas.health_checks import LARGE_STEP, SETTLED_DECISION
from nas.health_state import Decisions, gain_over_random
from nas.search import PolicyUpdate

SETTLED_TO_OPEN = [[0.0, "#17457c"], [1.0, "#e9eff5"]]
NAMED = 6  # settled decisions in a sentence
AXIS = "trials learnt from"

Points = list[tuple[int, float]]


class HealthChart(NamedTuple):
    """A chart, its element's id, its heading, and a sentence; ``wide``: over the page's whole width."""

    id: str
    heading: str
    summary: str
    chart: Chart
    wide: bool = False


class Line(NamedTuple):
    """One figure of every update: how to read it, how to draw it, what to say of its points."""

    id: str
    heading: str
    axis: str
    read: Callable[[PolicyUpdate], float | None]
    scale: float
    say: Callable[[Points], str]


def health_charts(updates: Sequence[PolicyUpdate], decisions: Decisions) -> list[HealthChart]:
    """Draw what the updates recorded: entropy, gain, repeats, advantages, steps, and each decision's entropy."""
    drawn = [_line(line, updates) for line in LINES]
    return [chart for chart in [*drawn, _decisions(updates, decisions)] if chart is not None]


def _line(line: Line, updates: Sequence[PolicyUpdate]) -> HealthChart | None:
    pairs = [(update.trials, line.read(update)) for update in updates]
    points = [(trials, line.scale * value) for trials, value in pairs if value is not None]
    if not points:
        return None
    x, y = [trials for trials, _ in points], [value for _, value in points]
    chart = line_chart(AXIS, line.axis, x, {line.heading: y})
    chart["layout"]["yaxis"]["rangemode"] = "tozero"  # else noise would look like a trend
    chart["layout"]["height"] = 300
    return HealthChart(line.id, line.heading, line.say(points), chart)


def _decisions(updates: Sequence[PolicyUpdate], decisions: Decisions) -> HealthChart | None:
    """Draw each decision's entropy as a map: its row turns dark as it settles."""
    shown = [update for update in updates if len(update.decision_entropies) == len(decisions.sizes)]
    if not shown:
        return None
    rows = zip(*(update.decision_entropies for update in shown), strict=True)
    names = list(decisions.names) or [f"decision {index + 1}" for index in range(len(decisions.sizes))]
    figure = new_figure(AXIS, "")
    figure.add_heatmap(
        x=[update.trials for update in shown],
        y=names,
        z=[[round(100 * share, 1) for share in row] for row in rows],
        zmin=0,
        zmax=100,
        colorscale=SETTLED_TO_OPEN,
        colorbar={"title": {"text": "%"}, "thickness": 10, "outlinewidth": 0},
        hovertemplate="%{y} after %{x} trials: %{z} %<extra></extra>",
    )
    figure.update_layout(height=120 + 17 * len(names), yaxis={"autorange": "reversed", "dtick": 1})
    heading = "Entropy of each decision (% of its maximum)"
    return HealthChart("decisions", heading, _settled(names, shown[-1]), plain(figure), wide=True)


def _settled(names: Sequence[str], last: PolicyUpdate) -> str:
    settled = [name for name, share in zip(names, last.decision_entropies, strict=True) if share < SETTLED_DECISION]
    if not settled:
        return f"None of the {len(names)} decisions has settled."
    more = f" and {len(settled) - NAMED} more" if len(settled) > NAMED else ""
    share = f"less than {100 * SETTLED_DECISION:g} % of the entropy is left"
    return f"{len(settled)} of {len(names)} decisions have settled ({share}): {', '.join(settled[:NAMED])}{more}."


def _say_entropy(points: Points) -> str:
    label = "Entropy (% of the maximum)"
    if len(points) == 1:
        return f"{label} was {points[0][1]:.4g} after the only policy update."
    return (
        f"{label} went from {points[0][1]:.4g} to {points[-1][1]:.4g} in {len(points)} policy updates; "
        "it falls as the policy settles."
    )


def _say_gain(points: Points) -> str:
    return (
        f"The rewards of the last update's networks lay {points[-1][1]:+.2g} points off those of random networks, "
        "by the table where there is one, else by the controller's reward model."
    )


def _say_repeats(points: Points) -> str:
    return f"Of what the policy drew at last, {points[-1][1]:.0f} % had been proposed before; it is drawn anew."


def _say_advantages(points: Points) -> str:
    return f"Within the last update's batch, rewards had a standard deviation of {points[-1][1]:.2g} points."


def _say_steps(points: Points) -> str:
    trials, largest = max(points, key=lambda point: point[1])
    return (
        f"The largest update, after {trials} trials, moved the policy by {largest:.2g} nats a decision "
        f"(Kullback-Leibler divergence); {LARGE_STEP:g} are too many."
    )


def _of(name: str) -> Callable[[PolicyUpdate], float | None]:
    return lambda update: update.diagnostics.get(name)


LINES = (
    Line("entropy", "Entropy of the policy", "entropy (% of the maximum)", _of("entropy_share"), 100, _say_entropy),
    Line("gain", "Gain over random networks", "points of reward", gain_over_random, 100, _say_gain),
    Line("repeats", "Draws that repeat", "% of the policy's draws", _of("repeated_share"), 100, _say_repeats),
    Line("advantages", "Scale of the advantages", "points of reward", _of("advantage_std"), 100, _say_advantages),
    Line("steps", "Size of the updates", "nats a decision", _of("policy_change"), 1, _say_steps),
)
