"""`--check`: a table against networks that had no part in it, timed whole and twice.

Some of the networks that the table was made of are timed again beside them: what all of these take more or less than
they did is the machine's change of speed since then, and no error of the table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latency.accuracy import Taught, accuracy, class_fit, macs_fit
from latency.journal import Journal
from latency.measured_table import random_networks
from latency.protocol import Measurement, Protocol
from latency.source import Chain, LatencySource
from latency.sweeps import at_speed_of, take
from latency.table import Accuracy, LatencyTable
from search_spaces import InputError, SearchSpace

_TIES = 24  # networks that are timed again
_PARTS = ("check", "check again")
_SEED = 1_000_003  # not the one that networks for the fit are drawn with


@dataclass(frozen=True, slots=True)
class Predictions:
    """One way to predict, network by network, in milliseconds; and how well it did."""

    name: str
    predicted_ms: tuple[float, ...]
    accuracy: Accuracy


@dataclass(frozen=True, slots=True)
class Check:
    """Networks' measured times, in milliseconds, and what the table and its simple peers say of them."""

    measured_ms: tuple[float, ...]
    table: Predictions
    peers: tuple[Predictions, ...]


def check_networks(spaces: Sequence[SearchSpace], count: int, seen: Sequence[Chain]) -> list[Chain]:
    """Draw networks of the spaces that are not among those seen."""
    drawn = random_networks(spaces, count + len(seen), _SEED)
    unseen = [chain for chain in drawn if chain not in set(seen)][:count]
    if not unseen:
        raise InputError("--check finds no network that had no part in the table: the space is too small")
    return unseen


def time_twice(
    source: LatencySource,
    chains: Sequence[Chain],
    before: Sequence[Measurement],
    journal: Journal,
    protocol: Protocol,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Measurement], list[Measurement]]:
    """Measure networks in two goes, each with sessions of its own; ``before``: networks as the table's build saw them.

    What comes back is at the speed that the machine had then.
    """
    ties = [one for one in before if one.chain not in set(chains)][:_TIES]
    first, again = (
        at_speed_of(ties, take(source, [*chains, *(tie.chain for tie in ties)], journal, protocol, on_progress, part))
        for part in _PARTS
    )
    return first[: len(chains)], again[: len(chains)]


def judge(
    table: LatencyTable,
    networks: Sequence[Measurement],
    singles: Sequence[Measurement],
    timed: tuple[Sequence[Measurement], Sequence[Measurement]],
) -> Check:
    """Compare the table with networks timed twice.

    The peers learn from the ``networks`` that the table was built from, and from ``singles``: Ops timed alone.
    """
    reference_ms = table.header.reference_ms or 0.0
    first, again = (np.array([one.timing(reference_ms).median_ms for one in go]) for go in timed)
    floor = float(np.mean(np.abs(first / again - 1)))
    measured = ((first + again) / 2).tolist()
    chains = [one.chain for one in timed[0]]
    alone = {one.chain: one.timing(reference_ms).median_ms for one in singles}
    taught = Taught([one.chain for one in networks], [one.timing(reference_ms).median_ms for one in networks])

    def predictions(name: str, predict: Callable[[Chain], float]) -> Predictions:
        predicted = [predict(chain) for chain in chains]
        method = "random networks of its spaces, none of which had a part in it"
        return Predictions(name, tuple(predicted), accuracy(method, predicted, measured, floor))

    return Check(
        tuple(measured),
        predictions("this table", lambda chain: table.header.overhead_ms + sum(table.op_ms(op) for op in chain)),
        (
            predictions("sum of Ops timed alone", lambda chain: sum(alone[(op,)] for op in chain)),
            predictions("a cost per operator class", class_fit(taught)),
            predictions("MACs only", macs_fit(taught)),
        ),
    )


def with_accuracy(table: LatencyTable, found: Accuracy) -> LatencyTable:
    """Put a check's result into the table's header."""
    return LatencyTable(table.header.model_copy(update={"accuracy": found}), table.timings)
