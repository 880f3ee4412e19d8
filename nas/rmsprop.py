"""RMSProp in TensorFlow's form, the optimiser of MnasNet and MobileNetV3."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT


class TFRMSProp(torch.optim.Optimizer):
    """Divide each gradient by a running root mean square of it, with momentum (Tieleman and Hinton 2012).

    As TensorFlow 1's ``RMSPropOptimizer`` computes it, which published learning rates are for::

        s <- rho s + (1 - rho) g^2              from 1, so that the first steps are not huge
        v <- momentum v + lr g / sqrt(s + eps)  the rate inside the momentum: a lower one acts at once on new gradients
        w <- w - v

    torch's own starts s at 0, adds eps outside the root and multiplies v, not g, by the rate. ``weight_decay`` adds
    that much of w to g.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        rho: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; a ``closure`` computes the loss and the gradients first, and its loss is given back."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        gradients = [weight.grad for weight in weights]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        squares, momenta = self._state_of(weights, "square"), self._state_of(weights, "momentum")
        torch._foreach_mul_(squares, group["rho"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["rho"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_addcdiv_(momenta, gradients, roots, group["lr"])
        torch._foreach_sub_(weights, momenta)

    def _state_of(self, weights: Iterable[Tensor], name: str) -> list[Tensor]:
        start = 1.0 if name == "square" else 0.0
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = torch.full_like(weight, start, memory_format=torch.preserve_format)
        return [self.state[weight][name] for weight in weights]
