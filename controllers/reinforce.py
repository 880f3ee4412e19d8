"""REINFORCE over the recurrent policy: one step of Adam on each batch of rewards."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from controllers.contract import Proposal, Results, check_count, check_results, check_state
from controllers.objective import MovingAverage, advantages, entropy, importance_weights, policy_gradient_loss
from controllers.options import require_range
from controllers.policy import Policy, of_tokens


@dataclass(frozen=True, slots=True)
class ReinforceOptions:
    """Hold what can be set; the defaults are those of experiments/controllers."""

    learning_rate: float = 0.008
    entropy_weight: float = 0.5  # against advantages of size one; see Reinforce._entropy_factor
    baseline_decay: float = 0.95  # per reward; MnasNet's figure
    normalise_advantages: bool = True  # by their moving root mean square: rewards of any scale learn alike
    hidden: int = 100  # units of the LSTM; MnasNet's figure
    importance_limit: float = 2.0  # a late result counts at most this many times

    def __post_init__(self) -> None:
        require_range("learning_rate", self.learning_rate, 0, math.inf, low_included=False)
        require_range("entropy_weight", self.entropy_weight, 0, math.inf)
        require_range("baseline_decay", self.baseline_decay, 0, 0.9999)
        require_range("hidden", self.hidden, 1, math.inf)
        require_range("importance_limit", self.importance_limit, 0, math.inf, low_included=False)


class Reinforce:
    """Learn by the policy gradient with a moving-average baseline and an entropy term (Williams 1992)."""

    def __init__(self, sizes: Sequence[int], seed: int, options: ReinforceOptions) -> None:
        self._sizes = tuple(sizes)
        self._options = options
        self._generator = torch.Generator().manual_seed(seed)
        self._policy = Policy(sizes, options.hidden, self._generator)
        self._optimiser = torch.optim.Adam(self._policy.parameters(), lr=options.learning_rate)
        self._baseline = MovingAverage()
        self._square = MovingAverage()  # of the advantages
        self._updates = 0
        self._last = {"loss": 0.0, "advantage_std": 0.0, "gradient_norm": 0.0, "entropy": self._entropy_limit()}

    def ask(self, n: int) -> list[Proposal]:
        """Sample n token tuples from the policy."""
        check_count(n)
        if n == 0:
            return []
        tokens, log_probabilities = self._policy.sample(n, self._generator)
        totals = of_tokens(log_probabilities, tokens).clamp(max=0).tolist()  # rounding may pass 0
        return [Proposal(tuple(row), total) for row, total in zip(tokens.tolist(), totals, strict=True)]

    def tell(self, results: Results) -> None:
        """Take one step of Adam along the policy gradient of this batch."""
        check_results(self._sizes, results)
        if not results:
            return
        tokens = torch.tensor([proposal.tokens for proposal, _ in results])
        then = [math.nan if p.log_probability is None else p.log_probability for p, _ in results]
        self._step(tokens, torch.tensor(then), self._advantages([float(reward) for _, reward in results]))

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the policy, optimiser, averages and random generator."""
        return {
            **self._identity(),
            "policy": dict(copy.deepcopy(self._policy.state_dict())),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "generator": self._generator.get_state(),
            "baseline": asdict(self._baseline),
            "square": asdict(self._square),
            "updates": self._updates,
            "last": dict(self._last),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that a controller with the same sizes and options saved."""
        keys = ["policy", "optimiser", "generator", "baseline", "square", "updates", "last"]
        check_state(state, self._identity(), keys)
        self._policy.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))  # torch would keep the caller's tensors
        self._generator.set_state(state["generator"])
        self._baseline = MovingAverage(**state["baseline"])
        self._square = MovingAverage(**state["square"])
        self._updates = state["updates"]
        self._last = dict(state["last"])

    def diagnostics(self) -> dict[str, float]:
        """Say how the last update went.

        entropy: nats, mean per decision, of the policy that the update started from, on the batch it learned from
        (before the first: of a uniform policy); entropy_share: of its maximum; baseline: mean recent reward; loss;
        advantage_std: in units of reward, before normalising; gradient_norm; updates: how many there were.
        """
        limit = self._entropy_limit()
        share = self._last["entropy"] / limit if limit > 0 else 1.0  # no choice at all: none was lost
        return {**self._last, "entropy_share": share, "baseline": self._baseline.mean, "updates": float(self._updates)}

    def _advantages(self, rewards: list[float]) -> Tensor:
        """Return advantages over the baseline of earlier batches, and move the averages on."""
        options = self._options
        following = self._baseline.updated(rewards, options.baseline_decay)
        baseline = self._baseline.mean if self._updates else following.mean  # the first batch has only itself
        self._baseline = following
        plain = advantages(rewards, baseline)
        self._square = self._square.updated([value * value for value in plain], options.baseline_decay)
        self._last["advantage_std"] = float(torch.tensor(plain).std(correction=0))
        scale = math.sqrt(self._square.mean) if options.normalise_advantages else 1.0
        return torch.tensor(advantages(rewards, baseline, scale))

    def _step(self, tokens: Tensor, then: Tensor, advantage: Tensor) -> None:
        log_probabilities = self._policy(tokens)
        now = of_tokens(log_probabilities, tokens)
        weights = importance_weights(now, then, self._options.importance_limit)
        entropy_nats = entropy(log_probabilities).sum(-1).mean()  # of a whole proposal
        loss = policy_gradient_loss(now, advantage, weights) - self._entropy_factor() * entropy_nats
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self._policy.parameters() if p.grad is not None]
        self._last["gradient_norm"] = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
        self._last["loss"] = float(loss.detach())
        self._last["entropy"] = float(entropy_nats.detach()) / len(self._sizes)
        self._optimiser.step()
        self._updates += 1

    def _entropy_factor(self) -> float:
        """Divide the weight by the root of the number of decisions.

        That is how the effect of one decision shrinks, in units of the spread of rewards, where many share it alike;
        an undivided weight that suits 8 decisions would keep 42 from ever settling.
        """
        return self._options.entropy_weight / math.sqrt(len(self._sizes))

    def _entropy_limit(self) -> float:
        return sum(math.log(size) for size in self._sizes) / len(self._sizes)

    def _identity(self) -> dict[str, Any]:
        return {"controller": "reinforce", "sizes": list(self._sizes), "options": asdict(self._options)}
