"""What one step of NetAdapt may do: for each target the least narrowing that saves enough time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nas.netadapt.groups import WidthGroup, targets
from nas.netadapt.squeeze import Rule, squeeze_rule
from search_spaces import Arch, lower

MULTIPLE = 8  # channels; of all widths, and the least (Howard et al. 2019: 200, 184, 72 and 88 are multiples of 8)

Price = Callable[[Sequence[Arch]], list[float | None]]
"""Latencies of networks in ms; None for one that cannot be priced."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A narrower network: one target's width, ``before`` and ``after``; ``latency_ms`` is the whole network's."""

    target: str
    before: int
    after: int
    arch: Arch
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Proposer:
    """Makes the proposals of each step on the way down from one seed; ``delta_ms`` is what each must save."""

    targets: tuple[WidthGroup, ...]
    squeezed: Rule
    price: Price
    delta_ms: float

    @classmethod
    def of(cls, seed: Arch, price: Price, delta_ms: float) -> "Proposer":
        """Derive the targets and the rule of the squeezes from the seed, once for all steps."""
        return cls(tuple(targets(seed)), squeeze_rule(seed), price, delta_ms)

    def __call__(self, arch: Arch, latency_ms: float) -> list[Proposal]:
        """Give, for each target that has one, the largest width that saves ``delta_ms`` (Yang et al. 2018, 3.2).

        Widths are tried downward, all targets' next ones together: times need not fall with the width, and a table that
        must measure what it lacks does so in few batches.
        """
        found: dict[WidthGroup, Proposal] = {}
        open_targets = {target: self._narrower(arch, target) for target in self.targets}
        while open_targets:
            tried = {target: next(networks, None) for target, networks in open_targets.items()}
            networks = {target: network for target, network in tried.items() if network is not None}
            for target, ms in zip(networks, self.price(list(networks.values())), strict=True):
                if ms is not None and ms <= latency_ms - self.delta_ms:
                    network = networks[target]
                    widths = target.width(arch), target.width(network)
                    found[target] = Proposal(target.name, *widths, network, ms)
            open_targets = {target: open_targets[target] for target in networks if target not in found}
        return [found[target] for target in self.targets if target in found]

    def lowest_ms(self, arch: Arch) -> float | None:
        """Say about how low a network can get: its latency with every target, in turn, at its least width."""
        for target in self.targets:
            *_, arch = arch, *self._narrower(arch, target)
        return self.price([arch])[0]

    def _narrower(self, arch: Arch, target: WidthGroup) -> Iterator[Arch]:
        """Yield the network with this target narrower and narrower."""
        largest, roles = (target.width(arch) - 1) // MULTIPLE * MULTIPLE, _roles(arch)
        for width in range(largest, 0, -MULTIPLE):
            network = self.squeezed(target.resized(arch, width))
            if _roles(network) == roles:  # an expansion to its input's width would be no layer
                yield network


def _roles(arch: Arch) -> list[list[str]]:
    return [[conv.role for conv in op.convolutions()] for op in lower(arch)]
