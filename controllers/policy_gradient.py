"""What REINFORCE and PPO share: the recurrent policy, its updates, and whom it proposes."""

import copy
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from controllers.baseline import of_others
from controllers.contract import Known, Proposal, Results, check_count, check_results, check_state
from controllers.draws import Draws
from controllers.memory import Memory, Tokens
from controllers.objective import MovingAverage, advantages, change_of_policy, entropy, rank_advantages, settled
from controllers.options import require_range
from controllers.policy import Policy, of_choices, of_tokens
from controllers.screening import Screen

FITTED = 300  # networks by which the effects of choices are judged, the last to get a reward
RANKED = 100  # recent rewards among which a new one is ranked


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """Hold what can be set; the defaults are those of experiments/controllers."""

    learning_rate: float = 0.02
    bias_rate: float = 4.0  # how many times as fast the decisions' own biases learn
    rate_decay: int = 150  # results after which the learning rate has halved, then a third is left, ...; 0: never
    entropy_weight: float = 1.0  # against advantages of size one; see PolicyGradient._entropy_factor
    rank_advantages: bool = True  # normal scores among recent rewards, in place of distances from a baseline
    baseline_decay: float = 0.95  # per reward; MnasNet's figure
    normalise_advantages: bool = True  # by their moving root mean square, where they are not ranks
    factorised_baseline: bool = True  # of each decision what the others are worth is counted out; see baseline.py
    imitation_weight: float = 0.3  # of the best networks' log-probability (priority-queue training)
    imitation_size: int = 10  # how many of them
    epochs: int = 1  # steps on one batch
    hidden: int = 100  # units of the LSTM; MnasNet's figure
    importance_limit: float = 2.0  # a late result counts at most this many times
    unique: bool = True  # never propose a network twice while another is left
    screen: int = 64  # policy draws that the reward model looks at before each proposal; 0: it has no say
    boldness: float = 0.5  # share of the model's doubt in the functions that judge
    elites: int = 5  # best networks near which the model looks
    changes: float = 3.0  # single changes of them, on average
    dream_weight: float = 0.3  # of the policy gradient on the model's rewards for networks that the policy draws

    def __post_init__(self) -> None:
        for name in ("learning_rate", "bias_rate", "importance_limit"):
            require_range(name, getattr(self, name), 0, math.inf, low_included=False)
        for name in ("rate_decay", "entropy_weight", "imitation_weight", "screen", "boldness", "dream_weight"):
            require_range(name, getattr(self, name), 0, math.inf)
        for name in ("imitation_size", "epochs", "hidden", "elites", "changes"):
            require_range(name, getattr(self, name), 1, math.inf)
        require_range("baseline_decay", self.baseline_decay, 0, 0.9999)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one update learns from."""

    tokens: Tensor  # (batch, decisions)
    advantages: Tensor  # (batch, decisions)
    before: Tensor  # log-probabilities of the tokens by the policy that the update starts from, (batch, decisions)
    then: Tensor  # of whole networks, when they were proposed, (batch,)


class PolicyGradient(ABC):
    """Learn by the policy gradient; `loss` is what the algorithms differ in."""

    name = ""

    def __init__(self, sizes: Sequence[int], seed: int, options: PolicyOptions, known: Known | None = None) -> None:
        self._sizes = tuple(sizes)
        self._options = options
        self._generator = torch.Generator().manual_seed(seed)
        self._policy = Policy(sizes, options.hidden, self._generator)
        self._optimiser = torch.optim.Adam(self._parameter_groups(), lr=options.learning_rate)
        self._memory = Memory(sizes)
        self._screen = Screen(sizes, options.boldness, options.elites, options.changes, known)
        self._unlearnt: list[Tokens] = []  # networks that the reward model has not seen
        self._baseline = MovingAverage()
        self._square = MovingAverage()  # of the advantages
        self._updates = 0
        self._draws = Draws(self._policy, self._generator)
        self._pool = self._look()
        self._drawn = self._repeated = 0  # policy draws since the last update, and those that were proposed before
        self._entropies = [1.0] * len(self._sizes)
        self._last = {"loss": 0.0, "advantage_std": 0.0, "gradient_norm": 0.0, "policy_change": 0.0}
        self._last |= {"repeated_share": 0.0, "entropy": self._entropy_limit()}

    @abstractmethod
    def loss(self, chosen: Tensor, batch: Batch) -> Tensor:
        """Give the loss of a batch whose choices now have these log-probabilities, (batch, decisions)."""

    def ask(self, n: int) -> list[Proposal]:
        """Propose n networks that were never proposed, as long as there are such."""
        check_count(n)
        if n == 0:
            return []
        chosen = [self._choose() for _ in range(n)] if self._screening else self._draw(n)
        with torch.no_grad():
            tokens = torch.tensor(chosen)
            totals = of_tokens(self._policy(tokens), tokens).clamp(max=0).tolist()  # rounding may pass 0
        return [Proposal(row, total) for row, total in zip(chosen, totals, strict=True)]

    def tell(self, results: Results) -> None:
        """Learn from this batch: the reward model first, then the policy."""
        check_results(self._sizes, results)
        if not results:
            return
        self._unlearnt += self._memory.add(results)
        if self._options.screen or 10 * len(self._unlearnt) >= len(self._memory):  # else it only says how it is
            self._screen.learn(self._unlearnt, self._memory)
            self._unlearnt = []
        tokens = torch.tensor([proposal.tokens for proposal, _ in results])
        then = [math.nan if p.log_probability is None else p.log_probability for p, _ in results]
        rewards = [float(reward) for _, reward in results]
        self._update(tokens, self._advantages(tokens, rewards), torch.tensor(then))
        self._last |= self._screen.diagnostics(tokens.numpy(), self._numbers())

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the policy, optimiser, averages, memory, reward model and random generator."""
        return {
            **self._identity(),
            "policy": dict(copy.deepcopy(self._policy.state_dict())),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "generator": self._generator.get_state(),
            "baseline": asdict(self._baseline),
            "square": asdict(self._square),
            "memory": self._memory.state_dict(),
            "screen": self._screen.state_dict(),
            "unlearnt": [list(tokens) for tokens in self._unlearnt],
            "updates": self._updates,
            "draws": self._draws.state_dict(),
            "drawn": [self._drawn, self._repeated],
            "pool": self._pool.clone(),
            "entropies": list(self._entropies),
            "last": dict(self._last),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that a controller with the same sizes and options saved."""
        keys = ["policy", "optimiser", "generator", "baseline", "square", "memory", "screen", "updates"]
        check_state(state, self._identity(), [*keys, "unlearnt", "draws", "drawn", "pool", "entropies", "last"])
        self._policy.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))  # torch would keep the caller's tensors
        self._generator.set_state(state["generator"])
        self._baseline = MovingAverage(**state["baseline"])
        self._square = MovingAverage(**state["square"])
        self._memory.load_state_dict(state["memory"])
        self._screen.load_state_dict(state["screen"], self._memory)
        self._unlearnt = [tuple(tokens) for tokens in state["unlearnt"]]
        self._updates = state["updates"]
        self._draws.load_state_dict(state["draws"])
        self._drawn, self._repeated = state["drawn"]
        self._pool = state["pool"].clone()
        self._entropies = list(state["entropies"])
        self._last = dict(state["last"])

    def diagnostics(self) -> dict[str, float]:
        """Say how the last update went.

        entropy: nats, mean per decision, of the policy that the update started from, on the batch it learned from
        (before the first: of a uniform policy); entropy_share: of its maximum; policy_change: how far the update moved
        the policy, nats of divergence a decision; repeated_share: policy draws that had been proposed before;
        advantage_std: in units of reward, before normalising; baseline: mean recent reward; gradient_norm; loss;
        updates: how many there were; model_gain and model_evidence: see `Screen.diagnostics`.
        """
        limit = self._entropy_limit()
        share = self._last["entropy"] / limit if limit > 0 else 1.0  # no choice at all: none was lost
        return {**self._last, "entropy_share": share, "baseline": self._baseline.mean, "updates": float(self._updates)}

    def decision_entropies(self) -> list[float]:
        """Give each decision's entropy on the last batch as a share of its maximum."""
        return list(self._entropies)

    @property
    def _screening(self) -> bool:
        return self._options.screen > 0 and self._screen.ready

    def _choose(self) -> Tokens:
        """Let the reward model choose one network; draw one from the policy where it has none to offer."""
        fresh = [row for row in map(tuple, self._pool.tolist()) if row not in self._memory]
        self._drawn, self._repeated = self._drawn + len(self._pool), self._repeated + len(self._pool) - len(fresh)
        shown = np.array(fresh, dtype=np.int64).reshape(-1, len(self._sizes))
        tokens = self._screen.choose(shown, self._memory, self._numbers())
        if tokens is None:
            return self._draw(1)[0]
        self._memory.note(tokens)
        return tokens

    def _draw(self, n: int) -> list[Tokens]:
        """Draw n networks from the policy, without those that were proposed before."""
        chosen = self._draws.take(n, self._accept)
        while len(chosen) < n:
            chosen.append(self._memory.unproposed(random.Random(self._number())))
            self._memory.note(chosen[-1])
        return chosen

    def _accept(self, tokens: Tokens) -> bool:
        self._drawn += 1
        if self._options.unique and tokens in self._memory and not self._memory.exhausted:
            self._repeated += 1
            return False
        self._memory.note(tokens)
        return True

    def _look(self) -> Tensor:
        """Draw what the reward model looks at until the next update, and rewards in it: (screen, decisions)."""
        if not self._options.screen:
            return torch.zeros((0, len(self._sizes)), dtype=torch.long)
        return self._policy.sample(self._options.screen, self._generator)[0]

    def _number(self) -> int:
        return int(torch.randint(2**62, (1,), generator=self._generator))

    def _numbers(self) -> np.random.Generator:
        return np.random.default_rng(self._number())

    def _advantages(self, tokens: Tensor, rewards: list[float]) -> Tensor:
        """Return how much better than others each choice was, (batch, decisions), and move the averages on."""
        options = self._options
        following = self._baseline.updated(rewards, options.baseline_decay)
        baseline = self._baseline.mean if self._updates else following.mean  # the first batch has only itself
        self._baseline = following
        plain = advantages(rewards, baseline)
        self._square = self._square.updated([value * value for value in plain], options.baseline_decay)
        self._last["advantage_std"] = float(torch.tensor(plain).std(correction=0))
        scale = math.sqrt(self._square.mean) if options.normalise_advantages else 1.0
        if options.rank_advantages:
            of_networks = rank_advantages(rewards, self._memory.recent(max(RANKED, len(rewards))))
        else:
            of_networks = advantages(rewards, baseline, scale)
        given = torch.tensor(of_networks)[:, None].expand(tokens.shape)
        if not options.factorised_baseline:
            return given
        networks, known = self._memory.latest(FITTED)
        scores = rank_advantages(known, known) if options.rank_advantages else advantages(known, baseline, scale)
        others = of_others(self._sizes, np.array(networks), np.array(scores), tokens.numpy())
        return given - torch.tensor(others, dtype=given.dtype)

    def _update(self, tokens: Tensor, advantages: Tensor, then: Tensor) -> None:
        with torch.no_grad():
            policy = self._policy(tokens)
            before = of_choices(policy, tokens)
        batch = Batch(tokens, advantages, before, settled(then, before.sum(-1)))
        self._note_entropies(policy)
        for group, rate in zip(self._optimiser.param_groups, self._rates(), strict=True):
            group["lr"] = rate
        for _ in range(self._options.epochs):
            self._step(batch)
        with torch.no_grad():
            change = change_of_policy(policy, self._policy(tokens))
        self._last["policy_change"] = float(change)
        self._last["repeated_share"] = self._repeated / max(self._drawn, 1)
        self._drawn = self._repeated = 0
        self._draws.clear()
        self._pool = self._look()
        self._updates += 1

    def _step(self, batch: Batch) -> None:
        log_probabilities = self._policy(batch.tokens)
        loss = self.loss(of_choices(log_probabilities, batch.tokens), batch)
        loss = loss - self._entropy_factor() * entropy(log_probabilities).sum(-1).mean()  # of a whole proposal
        loss = loss + self._imitation_loss() + self._dream_loss()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self._policy.parameters() if p.grad is not None]
        self._last["gradient_norm"] = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
        self._last["loss"] = float(loss.detach())
        self._optimiser.step()

    def _imitation_loss(self) -> Tensor | float:
        """Raise the log-probability of the best networks so far (Abolafia et al. 2018, priority-queue training)."""
        if self._options.imitation_weight == 0 or not self._memory.varied:
            return 0.0
        best = torch.tensor(self._memory.best(self._options.imitation_size))
        return -self._options.imitation_weight * of_tokens(self._policy(best), best).mean()

    def _dream_loss(self) -> Tensor | float:
        """Let the reward model reward what the policy draws (Sutton 1990: Dyna)."""
        if self._options.dream_weight == 0 or not self._screening:
            return 0.0
        values = torch.tensor(self._screen.mean_values(self._pool.numpy()), dtype=torch.float32)
        spread = float(values.std(correction=0))
        if spread < 1e-9:
            return 0.0
        advantage = (values - values.mean()) / spread
        return -self._options.dream_weight * (advantage * of_tokens(self._policy(self._pool), self._pool)).mean()

    def _note_entropies(self, log_probabilities: Tensor) -> None:
        nats = entropy(log_probabilities).mean(0).tolist()  # (decisions,)
        self._last["entropy"] = sum(nats) / len(nats)
        self._entropies = [
            value / math.log(size) if size > 1 else 1.0 for value, size in zip(nats, self._sizes, strict=True)
        ]

    def _parameter_groups(self) -> list[dict[str, Any]]:
        others = [p for name, p in self._policy.named_parameters() if name != "head_bias"]
        return [{"params": [self._policy.head_bias]}, {"params": others}]

    def _rates(self) -> tuple[float, float]:
        decay = self._options.rate_decay
        rate = self._options.learning_rate / (1 + len(self._memory) / decay if decay else 1)
        return self._options.bias_rate * rate, rate

    def _entropy_factor(self) -> float:
        """Divide the weight by the root of the number of decisions.

        That is how the effect of one decision shrinks, in units of the spread of rewards, where many share it alike;
        an undivided weight that suits 8 decisions would keep 42 from ever settling.
        """
        return self._options.entropy_weight / math.sqrt(len(self._sizes))

    def _entropy_limit(self) -> float:
        return sum(math.log(size) for size in self._sizes) / len(self._sizes)

    def _identity(self) -> dict[str, Any]:
        return {"controller": self.name, "sizes": list(self._sizes), "options": asdict(self._options)}
