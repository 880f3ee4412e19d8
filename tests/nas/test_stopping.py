"""What signals do to a search: real ones, sent to this process."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace

import pytest

from nas.loop import run_in_process
from nas.search import Outcome
from nas.stopping import TerminatedError, held, sigterm_noted, stoppable, terminable


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_the_first_ctrl_c_asks_to_stop_and_the_second_ends() -> None:
    asked = []

    def run() -> None:
        with stoppable(lambda: asked.append(1)):
            send(signal.SIGINT)
            assert asked == [1]
            send(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert asked == [1]


def test_sigterm_ends_at_once() -> None:
    asked = []
    with pytest.raises(TerminatedError), stoppable(lambda: asked.append(1)):
        send(signal.SIGTERM)
    assert asked == []


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """As in a search after the first Ctrl-C."""
    with stoppable(lambda: None):
        send(signal.SIGINT)
        yield


@pytest.mark.parametrize("ending", [terminable, asked_to_stop])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)])
def test_what_is_held_is_finished_before_a_signal_ends_it(
    ending: Callable[[], AbstractContextManager[None]], number: signal.Signals, error: type[BaseException]
) -> None:
    done = []

    def run() -> None:
        with ending():
            with held():
                with held():
                    send(number)
                done.append("all of it")
            done.append("nothing after it")

    with pytest.raises(error):
        run()
    assert done == ["all of it"]


class Ending:
    """Two candidates; SIGTERM comes while the outcome of the first is taken."""

    done = False

    def __init__(self) -> None:
        self.left, self.taken = [0, 1], list[int]()

    def next(self) -> SimpleNamespace | None:
        return SimpleNamespace(trial=self.left.pop(0)) if self.left else None

    def finish(self, trial: int, outcome: Outcome) -> None:
        send(signal.SIGTERM)
        self.taken.append(trial)


def test_an_outcome_that_is_being_taken_is_taken_whole_before_sigterm_ends_the_search() -> None:
    trials = Ending()
    with pytest.raises(TerminatedError), stoppable(lambda: None):
        run_in_process(trials, lambda candidate: Outcome(0.5, 0.0))
    assert (trials.taken, trials.left) == ([0], [1])


def test_sigterm_keeps_its_name_where_a_library_makes_a_ctrl_c_of_it() -> None:
    def run() -> None:
        with terminable():
            try:
                send(signal.SIGTERM)
            except KeyboardInterrupt:
                raise KeyboardInterrupt from None  # as Ray does while it waits

    with pytest.raises(TerminatedError):
        run()
    with pytest.raises(KeyboardInterrupt) as ended, terminable():
        raise KeyboardInterrupt
    assert not isinstance(ended.value, TerminatedError)


def test_signals_are_handled_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable(lambda: None), terminable(), sigterm_noted() as came:
        send(signal.SIGTERM)
        assert came()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with held():
        pass  # nothing is left that it would raise


def test_outside_the_main_thread_no_signal_is_handled() -> None:
    ran = []

    def run() -> None:
        with stoppable(lambda: None), sigterm_noted() as came:
            ran.append(came())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [False]
