"""A search in this process, one trial after another: for evaluators that answer fast, and for tests."""

from collections.abc import Callable

from nas.search import Candidate, Outcome, Search


def run_in_process(search: Search, evaluate: Callable[[Candidate], Outcome]) -> None:
    """Evaluate one candidate after another until the search is done."""
    while (candidate := search.next()) is not None:
        search.finish(candidate.trial, evaluate(candidate))
