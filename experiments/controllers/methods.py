"""Whom the benchmark compares: our controllers, and neighbours under one interface.

A name says all: ``evolution:population=20,sample=5`` is a controller with options, ``reinforce+known`` one that is
handed what is known of rewards before training, ``logits:rate=0.3``, ``local-search``, ``optuna-tpe``,
``optuna-nsga2``, ``pyglove-evolution`` the neighbours here and in peers.py. Where an option's value is a word, it is
the word: ``local-search:restart=random``.
"""

import math
import random
import statistics
from typing import Protocol

from tasks import Task, Tokens

from controllers import Controller, Proposal, create, names
from nas.health import Health
from nas.health_state import Decisions
from nas.search import PolicyUpdate, Trial

Told = list[tuple[Tokens, float]]
Value = bool | int | float | str


class Method(Protocol):
    """Search: each batch that was asked for is told, in its order, before the next is asked for."""

    def ask(self, n: int) -> list[Tokens]: ...

    def tell(self, results: Told) -> None: ...


def make(name: str, task: Task, seed: int) -> Method:
    """Make a method by its name, for one search."""
    base, _, text = name.partition(":")
    options = {key: _value(value) for key, _, value in (part.partition("=") for part in text.split(",") if part)}
    base, _, known = base.partition("+")
    if base in names():
        given = {"known": task.known} if known else {}
        return OurController(create(base, task.sizes, seed, options, **given), task)
    if base == "logits":
        return Logits(task.sizes, seed, **options)
    if base == "local-search":
        return LocalSearch(task.sizes, seed, **options)
    import peers

    return peers.make(base, task.sizes, seed, options)


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class OurController:
    """A controller of this project, and the health of its search."""

    def __init__(self, controller: Controller, task: Task) -> None:
        self.controller = controller
        self.health = Health(Decisions(task.sizes, task.decisions))
        self._task = task
        self._trials: list[Trial] = []
        self._asked: list[Proposal] = []

    def ask(self, n: int) -> list[Tokens]:
        self._asked = self.controller.ask(n)
        return [proposal.tokens for proposal in self._asked]

    def tell(self, results: Told) -> None:
        self.controller.tell([(p, reward) for p, (_, reward) in zip(self._asked, results, strict=True)])

    def check(self, results: Told) -> None:
        """Look after an update for what nas-search would warn of."""
        self._trials += [self._trial(tokens, reward) for tokens, reward in results]
        mean = statistics.fmean(reward for _, reward in results)
        count, entropies = len(self.health.updates) + 1, tuple(self.controller.decision_entropies())
        update = PolicyUpdate(count, len(self._trials), mean, dict(self.controller.diagnostics()), entropies)
        self.health.note(update, self._trials)

    def _trial(self, tokens: Tokens, reward: float) -> Trial:
        slope, offset = self._task.known(tokens)
        key, latency = "-".join(map(str, tokens)), self._task.latency(tokens)
        return Trial(0, tokens, key, latency, (reward - offset) / slope, reward, 0.0, "finished")


class Logits:
    """Plain REINFORCE over independent logits: a moving-average baseline, one step a batch, no tricks.

    ``step`` is ``adam`` (Kingma and Ba 2015, its usual decays) or ``sgd``.
    """

    def __init__(self, sizes: tuple[int, ...], seed: int, rate: float = 0.1, step: str = "adam") -> None:
        self._rate, self._adam = rate, step == "adam"
        self._random = random.Random(seed)
        self._logits = [[0.0] * size for size in sizes]
        self._moments = [[(0.0, 0.0)] * size for size in sizes]
        self._baseline: float | None = None
        self._steps = 0

    def ask(self, n: int) -> list[Tokens]:
        shares = [_softmax(logits) for logits in self._logits]
        return [tuple(self._random.choices(range(len(p)), p)[0] for p in shares) for _ in range(n)]

    def tell(self, results: Told) -> None:
        mean = sum(reward for _, reward in results) / len(results)
        baseline = mean if self._baseline is None else self._baseline
        kept = 0.95 ** len(results)
        self._baseline = kept * baseline + (1 - kept) * mean
        self._steps += 1
        for decision, logits in enumerate(self._logits):
            for choice, share in enumerate(_softmax(logits)):
                terms = [(reward - baseline) * ((tokens[decision] == choice) - share) for tokens, reward in results]
                logits[choice] += self._rate * self._scaled(decision, choice, sum(terms) / len(terms))

    def _scaled(self, decision: int, choice: int, gradient: float) -> float:
        if not self._adam:
            return gradient
        first, second = self._moments[decision][choice]
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        self._moments[decision][choice] = first, second
        first, second = first / (1 - 0.9**self._steps), second / (1 - 0.999**self._steps)
        return first / (math.sqrt(second) + 1e-8)


def _softmax(logits: list[float]) -> list[float]:
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return [power / sum(powers) for power in powers]


class LocalSearch:
    """Evaluate single changes of the incumbent in random order, and move to the best of a batch that improves on it.

    Where no change is left, a restart: from the best network so far with ``changes`` decisions drawn anew
    (``restart=perturb``), or from a random one. No network is evaluated twice.
    """

    def __init__(
        self, sizes: tuple[int, ...], seed: int, restart: str = "perturb", changes: int = 3, start: int = 10
    ) -> None:
        self._sizes, self._restart, self._changes = sizes, restart, changes
        self._random = random.Random(seed)
        self._seen: dict[Tokens, float] = {}
        self._incumbent: Tokens | None = None
        self._queue: list[Tokens] = [self._drawn() for _ in range(start)]
        self._restarts: set[Tokens] = set()  # of this batch

    def ask(self, n: int) -> list[Tokens]:
        asked: list[Tokens] = []
        self._restarts.clear()
        while len(asked) < n:
            tokens = self._queue.pop() if self._queue else self._fresh()
            if tokens not in self._seen and tokens not in asked:
                asked.append(tokens)
        return asked

    def tell(self, results: Told) -> None:
        self._seen.update(results)
        near = [tokens for tokens, _ in results if tokens not in self._restarts]
        best = max(near, key=self._seen.__getitem__, default=None)
        if best is not None and (self._incumbent is None or self._seen[best] > self._seen[self._incumbent]):
            self._move(best)
        elif self._restarts and not self._queue:
            self._move(max(self._restarts, key=self._seen.__getitem__))

    def _move(self, tokens: Tokens) -> None:
        self._incumbent = tokens
        self._queue = [
            (*tokens[:index], choice, *tokens[index + 1 :])
            for index, size in enumerate(self._sizes)
            for choice in range(size)
            if choice != tokens[index]
        ]
        self._random.shuffle(self._queue)

    def _fresh(self) -> Tokens:
        """Return a network to start from again."""
        tokens = list(self._drawn())
        if self._restart == "perturb" and self._seen:
            best, drawn = max(self._seen, key=self._seen.__getitem__), tokens
            tokens = list(best)
            for index in self._random.sample(range(len(tokens)), min(self._changes, len(tokens))):
                tokens[index] = drawn[index]
        self._restarts.add(tuple(tokens))
        return tuple(tokens)

    def _drawn(self) -> Tokens:
        return tuple(self._random.randrange(size) for size in self._sizes)
