"""The page of tables: docs/paper-tables.md as text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from experiments.paper_tables import classification, dense
from experiments.paper_tables.figures import VERDICTS, Figure, Row, grid
from experiments.paper_tables.phones import table

HERE = Path(__file__).parent
PHONES = ("pixel1", "pixel2", "pixel3")
NARROW = 0.5  # widths of table 6 up to which its latencies speak for wider layers
WHAT = {"table_5_ms": "h-swish", "section_5": "step"}
Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def read_published() -> Tables:
    """Read the published figures."""
    tables: Tables = yaml.safe_load((HERE / "published.yaml").read_text(encoding="utf-8"))
    return tables


def count_rows(tables: Tables) -> dict[str, list[Row]]:
    """Count all rows that the paper prints counts of, by table."""
    makers = {
        "table_3": classification.count_row,
        "section_5": classification.step_row,
        "table_6": dense.detection_row,
        "table_7": dense.segmentation_row,
        "table_8": dense.strides_row,
        "table_9": classification.count_row,
    }
    return {name: [make(row) for row in tables[name]] for name, make in makers.items()}


def latency_rows(tables: Tables) -> dict[str, list[Row]]:
    """Estimate all rows that the paper prints latencies of, by table."""
    return {
        "table_3_ms": [classification.latency_row(row, PHONES) for row in tables["table_3"]],
        "table_5_ms": [classification.activation_row(row) for row in tables["table_5"]],
        "table_6_ms": [dense.detection_latency_row(row) for row in tables["table_6"]],
        "table_7_ms": [dense.segmentation_latency_row(row) for row in tables["table_7"]],
        "table_8_ms": [dense.segmentation_latency_row(row) for row in tables["table_8"]],
        "table_9_ms": [classification.latency_row(row, PHONES[:1]) for row in tables["table_9"]],
    }


def page() -> str:
    """Write the whole page."""
    tables = read_published()
    counted = count_rows(tables)
    squeezes = [classification.squeeze_row(of) for of in ("expansion", "input", "none")]
    grids = {name: grid(rows, WHAT.get(name, "network")) for name, rows in (counted | latency_rows(tables)).items()}
    paper, here = classification.orders(tables["table_5"])
    words = {
        "summary": summary(counted),
        "squeeze": grid(squeezes, "squeeze-and-excite"),
        "wider": grid([dense.wider_row(row) for row in tables["table_6"] if row["width"] <= NARROW]),
        "order_paper": ", ".join(paper),
        "order_here": "the same" if here == paper else ", ".join(here),
        "table_date": str(table("pixel1").header.date),
    }
    return Template((HERE / "template.md").read_text(encoding="utf-8")).substitute(grids | words)


def summary(counted: Mapping[str, Sequence[Row]]) -> str:
    """Say how many figures of each table are how near."""
    lines = [["counts of", "figures", *VERDICTS], ["---"] * (2 + len(VERDICTS))]
    for name, rows in sorted(counted.items()):
        verdicts = [entry.verdict for row in rows for entry in row.entries.values() if isinstance(entry, Figure)]
        shares = [str(verdicts.count(verdict)) for verdict in VERDICTS]
        lines.append([name.replace("_", " "), str(len(verdicts)), *shares])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
