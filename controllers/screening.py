"""A reward model that looks at many networks before one is proposed.

It learns rewards as normal scores: only their order counts, and a few failures do not stretch the scale. Where the
search hands over what it knows of rewards before a network is trained, a second form learns what is left to know,
accuracy; the form that says the rewards left out more truly is used.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from threadpoolctl import ThreadpoolController

from controllers.contract import Known
from controllers.functions import Array, Encoding
from controllers.functions import Tokens as TokenArray
from controllers.judges import Judge, KnownJudge, RewardJudge, known_parts, nearest_new
from controllers.memory import Memory, Tokens
from controllers.reward_model import Fitted, RewardModel

FIRST = 10  # rewards from which on the model is used
CAPACITY = 500  # networks that the model learns from: the best half and the latest
TWINS = 256  # networks drawn uniformly, which the proposals are compared with
STARTS = 3  # networks that one is looked for near where latency is known: asking for it takes time
DOUBT = 0.4  # share of the boldness where accuracy alone is doubted: over a whole space it varies more than rewards do
OUTLIER = 3.0  # quartile distances below the median at which an accuracy is cut


def normal_scores(values: Array) -> Array:
    """Give each value the normal quantile of its rank, ties their mean rank (Blom 1958, with a half for his 3/8)."""
    scores: Array = norm.ppf((rankdata(values) - 0.5) / len(values))
    return scores


def without_outliers(values: Array) -> Array:
    """Raise values that lie far below the middle half to where they are still low."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    raised: Array = np.maximum(values, middle - OUTLIER * max(high - low, 1e-12))
    return raised


class Screen:
    """Chooses proposals by functions drawn from a model of the rewards so far (Thompson 1933)."""

    def __init__(self, sizes: Sequence[int], boldness: float, elites: int, changes: float, known: Known | None) -> None:
        self.encoding = Encoding(tuple(sizes))
        self._boldness, self._elites, self._changes, self._known = boldness, elites, changes, known
        self._threads = ThreadpoolController()  # of the linear algebra
        self._model = RewardModel(self.encoding)
        self._accuracy_model = RewardModel(self.encoding) if known is not None else None
        self._rows: list[Tokens] = []  # what the models hold
        self._rewards = np.zeros(0)  # theirs
        self._scores: Fitted | None = None
        self._accuracies: Fitted | None = None
        self._starts: list[Tokens] = []
        self._by_accuracy = False  # which form judges

    @property
    def ready(self) -> bool:
        """Whether there is something to judge by."""
        return self._scores is not None

    def one_thread(self) -> AbstractContextManager[object]:
        """Keep linear algebra to one thread: on small matrices others only wait, and children need the cores."""
        context: AbstractContextManager[object] = self._threads.limit(limits=1)
        return context

    def learn(self, new: Sequence[Tokens], memory: Memory) -> None:
        """Take new networks in and fit the model to the mean rewards of all."""
        with self.one_thread():
            if new:
                self._add(new, memory)
            self._fit(memory)

    def choose(self, draws: TokenArray, memory: Memory, generator: np.random.Generator) -> Tokens | None:
        """Draw a function and choose the best network near the best so far or a draw of the policy; None without one.

        draws: (n, decisions); only the one that the function likes best is climbed from.
        """
        with self.one_thread():
            return self._choose(draws, memory, generator)

    def _choose(self, draws: TokenArray, memory: Memory, generator: np.random.Generator) -> Tokens | None:
        judge, rng = self._judge(generator), random.Random(int(generator.integers(2**62)))
        starts = list(self._starts)
        if len(draws):
            starts.append(tuple(draws[int(judge.values(draws).argmax())].tolist()))
        if isinstance(judge, KnownJudge):
            starts = rng.sample(starts, min(len(starts), STARTS))
        changes = generator.geometric(1 / self._changes, len(starts)).tolist()
        ends = [
            nearest_new(judge, self.encoding, judge.better(start, count, rng), memory)
            for start, count in zip(starts, changes, strict=True)
        ]
        found = [tokens for tokens in ends if tokens is not None]
        return found[int(judge.values(np.array(found)).argmax())] if found else None

    def mean_values(self, tokens: TokenArray) -> Array:
        """Give what the model makes of networks on average, in normal scores or, by the other form, in rewards."""
        return self._mean_judge().values(tokens)

    def diagnostics(self, batch: TokenArray, generator: np.random.Generator) -> dict[str, float]:
        """Say how much better than networks drawn uniformly the model holds a batch, and how sure it is of a pattern.

        model_gain: in rewards; model_evidence: log marginal likelihood over that of noise alone, nats.
        """
        if self._scores is None:
            return {}
        twins = np.stack([generator.integers(size, size=TWINS) for size in self.encoding.sizes], axis=1)
        function = self._scores.mean()
        ordered, scores = np.sort(self._rewards), np.sort(self._scores.values)
        ours, theirs = (np.interp(function(tokens), scores, ordered).mean() for tokens in (batch, twins))
        return {"model_gain": float(ours - theirs), "model_evidence": self._scores.evidence}

    def state_dict(self) -> dict[str, Any]:
        """Give what was found out; rewards are the memory's."""
        return {
            "rows": [list(tokens) for tokens in self._rows],
            "models": [model.state_dict() for model in self._models()],
            "by_accuracy": self._by_accuracy,
        }

    def load_state_dict(self, state: Mapping[str, Any], memory: Memory) -> None:
        """Go on from a saved state and the memory that belongs to it."""
        for model, saved in zip(self._models(), state["models"], strict=True):
            model.load_state_dict(saved)
        self._by_accuracy = state["by_accuracy"]
        self._rows, self._scores, self._accuracies = [], None, None
        self.learn([tuple(tokens) for tokens in state["rows"]], memory)

    def _add(self, new: Sequence[Tokens], memory: Memory) -> None:
        self._hold(new)
        if len(self._rows) > CAPACITY:
            best = set(memory.best(CAPACITY // 2))
            latest = set(self._rows[-(CAPACITY // 2) :])
            kept = [row for row, tokens in enumerate(self._rows) if tokens in best or tokens in latest]
            self._rows = [self._rows[row] for row in kept]
            for model in self._models():
                model.keep(np.array(kept))

    def _hold(self, tokens: Sequence[Tokens]) -> None:
        self._rows += tokens
        for model in self._models():
            model.add(np.array(tokens, dtype=np.int64))

    def _models(self) -> list[RewardModel]:
        return [self._model, *([self._accuracy_model] if self._accuracy_model else [])]

    def _fit(self, memory: Memory) -> None:
        if len(self._rows) < FIRST:
            return
        rewards = self._rewards = np.array([memory.mean(tokens) for tokens in self._rows])
        self._scores, refitted = self._model.fit(normal_scores(rewards))
        if self._accuracy_model is not None and self._known is not None:
            self._fit_accuracies(self._accuracy_model, self._known, rewards, refitted)
        values = self._mean_judge().values(np.array(self._rows))
        self._starts = [self._rows[row] for row in np.argsort(-values, kind="stable")[: self._elites].tolist()]

    def _fit_accuracies(self, model: RewardModel, known: Known, rewards: Array, compare: bool) -> None:
        """Fit what is left to know; now and then see which form orders left-out rewards better."""
        assert self._scores is not None
        slopes, offsets = known_parts(known, self._rows)
        self._accuracies, _ = model.fit(without_outliers((rewards - offsets) / slopes))
        if compare:
            by_accuracy = _agreement(slopes * self._accuracies.left_out() + offsets, rewards)
            self._by_accuracy = by_accuracy >= _agreement(self._scores.left_out(), rewards)

    def _judge(self, generator: np.random.Generator) -> Judge:
        assert self._scores is not None
        if self._by_accuracy and self._accuracies is not None and self._known is not None:
            return KnownJudge(self._accuracies.draw(generator, DOUBT * self._boldness), self._known)
        return RewardJudge(self._scores.draw(generator, self._boldness))

    def _mean_judge(self) -> Judge:
        assert self._scores is not None
        if self._by_accuracy and self._accuracies is not None and self._known is not None:
            return KnownJudge(self._accuracies.mean(), self._known)
        return RewardJudge(self._scores.mean())


def _agreement(guesses: Array, rewards: Array) -> float:
    """Give the rank correlation (Spearman 1904), 0 where one of the two is constant."""
    first, second = rankdata(guesses), rankdata(rewards)
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
