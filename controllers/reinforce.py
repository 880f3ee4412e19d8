"""REINFORCE over the recurrent policy (Williams 1992)."""

from dataclasses import dataclass

from torch import Tensor

from controllers.objective import importance_weights, policy_gradient_loss
from controllers.policy_gradient import Batch, PolicyGradient, PolicyOptions


@dataclass(frozen=True, slots=True)
class ReinforceOptions(PolicyOptions):
    """Hold what can be set."""


class Reinforce(PolicyGradient):
    """Step along the gradient of the log-probability, weighted by the advantage; late results by importance."""

    name = "reinforce"

    def loss(self, chosen: Tensor, batch: Batch) -> Tensor:
        weights = importance_weights(chosen.sum(-1), batch.then, self._options.importance_limit)
        return policy_gradient_loss(chosen, batch.advantages, weights)
