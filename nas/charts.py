"""The report's charts, as plotly figures in plain data; all text in them is escaped for plotly's HTML subset."""

import html
import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from nas.network_table import describe
from nas.pareto import front_of
from nas.report_data import Network
from nas.search import Trial

Chart = dict[str, Any]
INK, MUTED, FRONT, SEED, BLUE = "#1b2733", "#66727f", "#c2410c", "#f2b705", "#2563a8"
EARLY_TO_LATE = [[0.0, "#d3dce6"], [1.0, "#17457c"]]
RUNS_IN_A_LINE = 3


def front_chart(
    trials: Sequence[Trial], descriptions: Mapping[str, str], target_ms: float | None, network: Network | None
) -> Chart:
    """Draw accuracy over latency: every network, the front, the target and the seed."""
    front = front_of(trials)
    figure = new_figure("latency (ms)", "accuracy (%)")
    figure.add_scatter(
        name="networks",
        mode="markers",
        marker={
            "size": 9,
            "color": [t.trial for t in trials],
            "colorscale": EARLY_TO_LATE,
            "line": {"width": 1, "color": "#ffffff"},
            "colorbar": {"title": {"text": "trial"}, "thickness": 10, "len": 0.75, "outlinewidth": 0},
        },
        **_points(trials, descriptions),
    )
    figure.add_scatter(
        name="Pareto front",
        mode="lines+markers",
        line={"color": FRONT, "width": 2, "shape": "hv"},
        marker={"size": 10, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": FRONT}},
        **_points(front, descriptions),
    )
    if network is not None and network.latency_ms is not None and network.accuracy is not None:
        figure.add_scatter(
            name="seed" if network.chosen else "best so far",
            mode="markers",
            x=[network.latency_ms],
            y=[100 * network.accuracy],
            marker={"symbol": "star", "size": 19, "color": SEED, "line": {"width": 1.5, "color": INK}},
            customdata=[[network.trial, hover_lines(describe(network.arch) if network.arch is not None else "")]],
            hovertemplate="%{x:.2f} ms, %{y:.2f} %<br>%{customdata[1]}<extra>trial %{customdata[0]}</extra>",
        )
    if target_ms is not None:
        label = {"annotation_text": f"target {target_ms:g} ms", "annotation_position": "bottom right"}
        figure.add_vline(target_ms, line={"color": MUTED, "width": 1.5, "dash": "dash"}, **label)
    return plain(figure)


def reward_chart(trials: Sequence[Trial]) -> Chart:
    """Draw each trial's reward and the best one up to it."""
    figure = new_figure("trial", "reward")
    looks = {
        "finished": {"color": "#8fa9c6", "size": 7},
        "reused": {"color": "#ffffff", "size": 7, "line": {"width": 1.5, "color": "#8fa9c6"}},
    }
    for state, marker in looks.items():
        shown = [trial for trial in trials if trial.state == state and trial.reward is not None]
        if shown:
            figure.add_scatter(
                name=state,
                mode="markers",
                x=[trial.trial for trial in shown],
                y=[trial.reward for trial in shown],
                marker=marker,
                hovertemplate="trial %{x}: %{y:.4f}<extra></extra>",
            )
    _mark_failures(figure, [trial.trial for trial in trials if trial.state == "failed"])
    scored = [(trial.trial, trial.reward) for trial in trials if trial.state != "failed" and trial.reward is not None]
    figure.add_scatter(
        name="best so far",
        mode="lines",
        x=[trial for trial, _ in scored],
        y=list(accumulate((reward for _, reward in scored), max)),
        line={"color": BLUE, "width": 2.5, "shape": "hv"},
        hovertemplate="best up to trial %{x}: %{y:.4f}<extra></extra>",
    )
    return plain(figure)


def _mark_failures(figure: go.Figure, numbers: Sequence[int]) -> None:
    """Mark failed trials along the bottom: at their reward of 0 they would squeeze all others together."""
    if not numbers:
        return
    figure.add_scatter(
        name="failed",
        mode="markers",
        x=list(numbers),
        y=[0.02] * len(numbers),
        yaxis="y2",
        marker={"color": FRONT, "size": 8, "symbol": "x"},
        hovertemplate="trial %{x} failed<extra></extra>",
    )
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def line_chart(x_title: str, y_title: str, x: Sequence[float], lines: Mapping[str, Sequence[float]]) -> Chart:
    """Draw named lines over common x values."""
    figure = new_figure(html.escape(x_title), html.escape(y_title))
    for name, values in lines.items():
        hover = "%{x}: %{y:.4g}<extra>" + html.escape(name) + "</extra>"
        figure.add_scatter(name=html.escape(name), mode="lines+markers", x=list(x), y=list(values), hovertemplate=hover)
    figure.update_traces(line={"color": BLUE, "width": 2} if len(lines) == 1 else {"width": 2}, marker={"size": 5})
    figure.update_layout(showlegend=len(lines) > 1)
    return plain(figure)


def _points(trials: Sequence[Trial], descriptions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "x": [t.latency_ms for t in trials],
        "y": [100 * (t.accuracy or 0.0) for t in trials],
        "customdata": [[t.trial, t.reward, hover_lines(descriptions.get(t.key, ""))] for t in trials],
        "hovertemplate": (
            "%{x:.2f} ms, %{y:.2f} %, reward %{customdata[1]:.4f}<br>%{customdata[2]}"
            "<extra>trial %{customdata[0]}</extra>"
        ),
    }


def hover_lines(description: str) -> str:
    """Break a description into short lines: a hover label must fit on a phone."""
    parts = html.escape(description).split(" · ")
    chunks = [parts[start : start + RUNS_IN_A_LINE] for start in range(0, len(parts), RUNS_IN_A_LINE)]
    return "<br>".join(" · ".join(chunk) for chunk in chunks)


def new_figure(x_title: str, y_title: str) -> go.Figure:
    """Begin a chart in the look of them all; the titles must be escaped."""
    axis = {"gridcolor": "#e8edf2", "linecolor": "#b9c3ce", "zeroline": False, "ticks": "outside", "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
            "height": 430,
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "bordercolor": "#b9c3ce", "font": {"color": INK}},
            "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#9aa5b1", "activecolor": INK},
            "xaxis": {"title": {"text": x_title}, **axis},
            "yaxis": {"title": {"text": y_title}, **axis},
        }
    )


def plain(figure: go.Figure) -> Chart:
    """Give a chart as the data that a page carries."""
    chart: Chart = json.loads(figure.to_json())
    return chart


def prediction_page(measured_ms: Sequence[float], predicted_ms: Mapping[str, Sequence[float]], title: str) -> str:
    """Draw predicted over measured latencies, a series for each way to predict; a page that needs no network."""
    figure = new_figure("measured (ms)", "predicted (ms)")
    for place, (name, values) in enumerate(predicted_ms.items()):
        figure.add_scatter(
            name=html.escape(name),
            mode="markers",
            x=list(measured_ms),
            y=list(values),
            marker={"size": 8, "opacity": 0.8},
            visible=True if place == 0 else "legendonly",  # the peers lie far off, and hide what the table does
            hovertemplate="measured %{x:.2f} ms, predicted %{y:.2f} ms<extra>" + html.escape(name) + "</extra>",
        )
    ends = [min(measured_ms), max(measured_ms)]
    for name, factor, dash in (("exact", 1.0, "solid"), ("5 % off", 1.05, "dot"), ("", 0.95, "dot")):
        line = {"color": MUTED, "width": 1, "dash": dash}
        shown = {"name": name, "showlegend": bool(name), "hoverinfo": "skip"}
        figure.add_scatter(mode="lines", x=ends, y=[factor * end for end in ends], line=line, **shown)
    figure.update_layout(title={"text": html.escape(title)}, margin_t=60, height=640)
    page: str = figure.to_html(full_html=True, include_plotlyjs=True)
    return page
