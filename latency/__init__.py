"""Latency: tables of Op times, where they come from, and how well they predict. No torch, no ray.

`latency.build_table` (scipy) is imported by whoever builds a table: it is heavy.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.29 and newer else write to HOME and call home

from latency.extend import extend_table
from latency.host import time_network, time_onnx
from latency.table import Accuracy, LatencyTable, MissingOpsError, TableHeader
from latency.table_files import load_table, save_table, shipped_tables
from latency.timing import Timing

__all__ = [
    "Accuracy",
    "LatencyTable",
    "MissingOpsError",
    "TableHeader",
    "Timing",
    "extend_table",
    "load_table",
    "save_table",
    "shipped_tables",
    "time_network",
    "time_onnx",
]
