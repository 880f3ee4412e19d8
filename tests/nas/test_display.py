"""What a person sees while a search runs."""

import io

from rich.console import Console

from nas.display import SearchDisplay, describe_policy
from nas.health_state import HealthWarning
from nas.search import PolicyUpdate, Trial


def console(terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=200), out


def test_a_policy_is_told_in_few_words() -> None:
    told = {"entropy_share": 0.634, "model_gain": 0.0123, "repeated_share": 0.25, "policy_change": 0.1}
    assert describe_policy(PolicyUpdate(1, 5, 0.7, told)) == "entropy 63 %, +1.2 over random, repeats 25 %"
    assert describe_policy(PolicyUpdate(1, 5, 0.7, told | {"table_gain": -0.004})) == (
        "entropy 63 %, -0.4 over random, repeats 25 %"
    )
    assert describe_policy(PolicyUpdate(1, 5, 0.7, {"entropy_share": 1.0})) == "entropy 100 %"


def test_the_last_line_without_a_terminal_tells_best_policy_and_failures() -> None:
    to, out = console()
    display = SearchDisplay(to, 2, [])
    display.trial(Trial(0, (0,), "a", 12.0, None, 0.0, 1.0, "failed", "diverged"))
    display.update(PolicyUpdate(1, 1, 0.0, {"entropy_share": 0.9}))
    display.trial(Trial(1, (1,), "b", 12.0, 0.8, 0.75, 1.0, "finished"))
    assert out.getvalue() == "trial 2/2: best reward 0.7500 (80.0 %, 12.0 ms), entropy 90 %, 1 failed\n"


def test_a_warning_is_a_line_of_its_own_with_and_without_a_terminal() -> None:
    warning = HealthWarning("constant", 40, "the reward has not changed in 40 trials [sic]")
    for terminal in (False, True):
        to, out = console(terminal)
        display = SearchDisplay(to, 60, [])
        with display.shown():
            display.warn(warning)
        assert "warning:" in out.getvalue()
        assert "the reward has not changed in 40 trials [sic]\n" in out.getvalue()
