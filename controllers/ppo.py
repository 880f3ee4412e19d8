"""Proximal policy optimisation over the recurrent policy (Schulman et al. 2017), MnasNet's algorithm."""

from dataclasses import dataclass

from torch import Tensor

from controllers.objective import clipped_loss, importance_weights
from controllers.options import require_range
from controllers.policy_gradient import Batch, PolicyGradient, PolicyOptions


@dataclass(frozen=True, slots=True)
class PpoOptions(PolicyOptions):
    """Hold what can be set: as REINFORCE, with several steps a batch and a limit to how far they go."""

    epochs: int = 3
    clip: float = 0.4  # how far a choice's probability may move, as a share; Schulman et al. 2017 have 0.2

    def __post_init__(self) -> None:
        PolicyOptions.__post_init__(self)
        require_range("clip", self.clip, 0, 1, low_included=False)


class Ppo(PolicyGradient):
    """Take several steps on each batch, and stop gaining where the policy has moved far."""

    name = "ppo"
    _options: PpoOptions

    def loss(self, chosen: Tensor, batch: Batch) -> Tensor:
        weights = importance_weights(batch.before.sum(-1), batch.then, self._options.importance_limit)
        return clipped_loss(chosen, batch.before, batch.advantages, weights, self._options.clip)
