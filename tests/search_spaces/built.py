"""Parameters of torch modules by the three conventions of counting, to hold `Count` against."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn
from torch.overrides import TorchFunctionMode

from search_spaces import Count

T = TypeVar("T")


class Unwritten(TorchFunctionMode):
    """Leave weights as the memory happens to be: drawing them takes most of the time that building takes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def built_params(build: Callable[[T], nn.Module], network: T) -> tuple[int, int, int]:
    """Build a network and count: all that is trained; without batch norm; batch norm folded."""
    with Unwritten():
        return params_of(build(network))


def params_of(model: nn.Module) -> tuple[int, int, int]:
    """Count a module's parameters."""
    total = sum(parameter.numel() for parameter in model.parameters())
    channels = sum(module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    return total, total - 2 * channels, total - channels


def named_params(counted: Count) -> tuple[int, int, int]:
    """List what `Count` says of the same."""
    return counted.params, counted.params_no_norm, counted.params_folded
