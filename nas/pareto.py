"""The Pareto front of latency against accuracy."""

from collections.abc import Iterable, Sequence

from nas.search import Trial


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Give the indices of the (latency, accuracy) points that no other beats, by rising latency.

    A point is beaten by one that is no slower and no less accurate, and better in at least one of the two. Of equal
    points the first is kept. Along the front both latency and accuracy rise strictly.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1], index))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def front_of(trials: Iterable[Trial]) -> list[Trial]:
    """Give the networks of a search that no other beats, each once, by rising latency."""
    finished = [trial for trial in trials if trial.state == "finished" and trial.accuracy is not None]
    return [finished[index] for index in pareto_front([(t.latency_ms, t.accuracy or 0.0) for t in finished])]
