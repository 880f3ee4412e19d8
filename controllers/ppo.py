"""Proximal policy optimisation over the recurrent policy (Schulman et al. 2017), MnasNet's algorithm."""

from dataclasses import dataclass

from torch import Tensor

from controllers.objective import clipped_loss
from controllers.options import require_range
from controllers.policy_gradient import Batch, PolicyGradient, PolicyOptions


@dataclass(frozen=True, slots=True)
class PpoOptions(PolicyOptions):
    """Hold what can be set: as REINFORCE, with several steps a batch and a limit to how far they go."""

    epochs: int = 3
    clip: float = 0.2  # how far a probability may move from what it was, as a share; Schulman et al. 2017

    def __post_init__(self) -> None:
        PolicyOptions.__post_init__(self)
        require_range("clip", self.clip, 0, 1, low_included=False)


class Ppo(PolicyGradient):
    """Take several steps on each batch, and stop gaining where the policy has moved far."""

    name = "ppo"
    _options: PpoOptions

    def loss(self, now: Tensor, batch: Batch) -> Tensor:
        return clipped_loss(now, batch.then, batch.advantages, self._options.clip)
