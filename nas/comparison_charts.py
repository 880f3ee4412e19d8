"""The charts of the page that compares runs: a colour for each, the same in all charts."""

import html
from collections.abc import Mapping, Sequence

from nas.charts import INK, MUTED, Chart, hover_lines, new_figure, plain
from nas.network_table import describe
from nas.pareto import front_of
from nas.report_data import Report
from nas.search import Trial

Course = list[tuple[int, float]]  # trial, value

COLORS = ("#2563a8", "#c2410c", "#0f766e", "#7c3aed", "#b08900", "#be185d", "#4d7c0f", "#0891b2")
DASHES = ("solid", "dash", "dot")  # where colours begin again
NAME_LENGTH = 26  # a longer one would fill the legend


def fronts_chart(runs: Sequence[tuple[str, Report, Trial | None]]) -> Chart:
    """Draw the front of each run, its best network that hits its target, and the targets."""
    figure = new_figure("latency (ms)", "accuracy (%)")
    for index, (name, report, best) in enumerate(runs):
        shown = front_of(report.results)
        figure.add_scatter(
            name=_legend(name),
            mode="lines+markers",
            x=[trial.latency_ms for trial in shown],
            y=[100 * (trial.accuracy or 0.0) for trial in shown],
            customdata=[[trial.trial, hover_lines(_described(report, trial))] for trial in shown],
            hovertemplate="%{x:.2f} ms, %{y:.2f} %<br>%{customdata[1]}<extra>"
            + _legend(name)
            + " %{customdata[0]}</extra>",
            line={**_line(index), "shape": "hv"},
            marker={"size": 8, "color": _line(index)["color"]},
        )
        if best is not None:
            figure.add_scatter(
                showlegend=False,
                mode="markers",
                x=[best.latency_ms],
                y=[100 * (best.accuracy or 0.0)],
                marker={
                    "symbol": "star",
                    "size": 17,
                    "color": _line(index)["color"],
                    "line": {"width": 1.5, "color": INK},
                },
                customdata=[[best.trial, hover_lines(_described(report, best))]],
                hovertemplate=f"best of {_legend(name)}: "
                "%{x:.2f} ms, %{y:.2f} %<br>%{customdata[1]}<extra>trial %{customdata[0]}</extra>",
            )
    for index, target_ms in enumerate(sorted({report.target_ms for _, report, _ in runs if report.target_ms})):
        side = "left" if index == 0 else "right"
        label = {"annotation_text": f"target {target_ms:g} ms", "annotation_position": f"bottom {side}"}
        figure.add_vline(target_ms, line={"color": MUTED, "width": 1.5, "dash": "dash"}, **label)
    figure.update_layout(showlegend=True)
    return plain(figure)


def course_chart(y_title: str, courses: Mapping[str, Course]) -> Chart:
    """Draw the best so far of each run over its trials."""
    figure = new_figure("trial", y_title)
    for index, (name, course) in enumerate(courses.items()):
        figure.add_scatter(
            name=_legend(name),
            mode="lines",
            x=[trial for trial, _ in course],
            y=[value for _, value in course],
            line={**_line(index), "shape": "hv"},
            hovertemplate="up to trial %{x}: %{y:.4f}<extra>" + _legend(name) + "</extra>",
        )
    figure.update_layout(showlegend=True, height=360)
    return plain(figure)


def _line(index: int) -> dict[str, str | float]:
    return {
        "color": COLORS[index % len(COLORS)],
        "dash": DASHES[index // len(COLORS) % len(DASHES)],
        "width": 2,
    }


def _legend(name: str) -> str:
    return html.escape(name if len(name) <= NAME_LENGTH else f"…{name[-NAME_LENGTH:]}").replace("%{", "% {")


def _described(report: Report, trial: Trial) -> str:
    if report.space is None:
        return f"tokens {' '.join(map(str, trial.tokens))}"
    return describe(report.space.decode(trial.tokens))
