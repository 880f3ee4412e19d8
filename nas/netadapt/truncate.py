"""A narrower network's weights, cut out of the wider one's: one choice of channels for each group of layers."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from nas.netadapt.groups import IMAGE, Layer, WidthGroup, layers, width_groups
from search_spaces import Arch

Weights = Mapping[str, Tensor]
Keep = Literal["norm", "first-n"]


def truncated(before: Arch, after: Arch, weights: Weights, keep: Keep = "norm") -> dict[str, Tensor]:
    """Cut a network's ``state_dict`` down to a narrower network of the same layers; the tensors are copies.

    Filters, batch norms (weights, biases, running means and variances), squeeze-and-excites and what reads them are
    cut along. ``keep``: `kept_channels`.
    """
    kept = kept_channels(before, after, weights, keep)
    by_name = {layer.name: layer for layer in layers(before)}
    result = {}
    for name, tensor in weights.items():
        layer = by_name.get(_owner(name))
        result[name] = (tensor if layer is None else _cut(tensor, layer, kept)).clone()
    return result


def kept_channels(before: Arch, after: Arch, weights: Weights, keep: Keep) -> dict[str, Tensor]:
    """Choose the output channels that stay, ascending, by the layer's name; layers of a group keep the same ones.

    ``norm``: those whose filters have the largest squared L2 norms, summed over the group's makers (Yang et al. 2018,
    section 3.3, for one layer); at equal norms the earlier ones. ``first-n``: the first.
    """
    old, new = ({layer.name: layer.conv.out_channels for layer in layers(arch)} for arch in (before, after))
    if list(old) != list(new):
        raise ValueError(f"{after.name} has other layers than {before.name}, so that it cannot inherit weights")
    kept: dict[str, Tensor] = {}
    for group in width_groups(before):
        name = group.layers[0]
        if new[name] > old[name]:
            raise ValueError(f"{name} has {old[name]} channels; it cannot be cut to {new[name]}")
        chosen = torch.arange(new[name]) if keep == "first-n" else _largest(group, weights, new[name])
        kept |= dict.fromkeys(group.layers, chosen)
    classifier = list(old)[-1]  # which is in no group
    return kept | {classifier: torch.arange(old[classifier])}


def _largest(group: WidthGroup, weights: Weights, count: int) -> Tensor:
    filters = [_filters(weights, name) for name in group.makers]
    norms = torch.stack([each.double().square().flatten(1).sum(1) for each in filters]).sum(0)  # (channels,)
    return torch.sort(norms, descending=True, stable=True).indices[:count].sort().values


def _filters(weights: Weights, layer: str) -> Tensor:
    """Give a layer's weights, (outputs, ...), whether a batch norm follows it or not."""
    with_norm = weights.get(f"{layer}.conv.weight")
    return weights[f"{layer}.weight"] if with_norm is None else with_norm


def _owner(name: str) -> str:
    """Give the name of the layer that an entry of a ``state_dict`` is of."""
    module = name.rpartition(".")[0]
    return module.removesuffix(".conv").removesuffix(".norm")


def _cut(tensor: Tensor, layer: Layer, kept: Mapping[str, Tensor]) -> Tensor:
    if tensor.ndim == 0:  # a batch norm's count of batches
        return tensor
    rows = tensor[kept[layer.name]]
    if tensor.ndim == 1 or layer.conv.depthwise or layer.source == IMAGE:
        return rows
    return rows[:, kept[layer.source]]
