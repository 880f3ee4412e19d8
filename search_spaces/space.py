"""Factorised hierarchical search spaces (Tan et al. 2019, section 4.1) as data."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from search_spaces.arch import Activation, Arch, Block, Gate, Head, Skip, SqueezeExcite, Stem
from search_spaces.errors import InputError
from search_spaces.kinds import parse_choice
from search_spaces.op import Op
from search_spaces.options import choices_of, take
from search_spaces.paths import Paths
from search_spaces.rounding import round_channels

Picks = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """A named categorical choice; a token is an index into ``choices``."""

    name: str
    choices: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How fractions become channels, for a whole space.

    ``channel_multiple``: widths are rounded to a multiple of it (`round_channels`); 1 cuts fractions off.
    ``se_base``: what an SE ratio is a ratio of, the block's ``input`` or its ``expanded`` width.
    """

    channel_multiple: int = 8
    se_base: str = "expanded"
    gate: Gate = "hard_sigmoid"


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of like blocks: every field is a list of choices, of which one holds for all blocks of the stage.

    ``op``: ``conv``, ``dconv`` (depthwise-separable: no expansion), ``mbconvE`` with E the expansion ratio, or a kind
    of one's own (`search_spaces.kinds`).
    Blocks: ``max(1, depth + depth_delta)``, or none where ``depth`` is 0. Channels: ``channels * width``.
    The first block has the stride.
    """

    stride: int
    op: tuple[str, ...]
    kernel: tuple[int, ...]
    se: tuple[float, ...]
    skip: tuple[Skip, ...]
    channels: tuple[int, ...]
    width: tuple[float, ...]
    depth: tuple[int, ...]
    depth_delta: tuple[int, ...]
    activation: tuple[Activation, ...]

    def options(self) -> dict[str, tuple[Any, ...]]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "stride"}

    def blocks(self, picks: Picks, in_channels: int, rules: Rules) -> tuple[Block, ...]:
        """Build the stage's blocks for one choice of each option."""
        if picks["depth"] == 0:
            return ()
        out_channels = round_channels(picks["channels"] * picks["width"], rules.channel_multiple)
        first = _block(picks, in_channels, out_channels, self.stride, rules)
        repeats = max(1, picks["depth"] + picks["depth_delta"]) - 1
        if not repeats:
            return (first,)
        return (first, *[_block(picks, out_channels, out_channels, 1, rules)] * repeats)


def _block(picks: Picks, in_channels: int, out_channels: int, stride: int, rules: Rules) -> Block:
    kind, ratio = parse_choice(picks["op"])
    expanded = (
        in_channels if ratio == 1 else round_channels(in_channels * ratio, rules.channel_multiple) if ratio else 0
    )
    se = None
    if picks["se"]:
        base = in_channels if rules.se_base == "input" else expanded or out_channels
        se = SqueezeExcite(round_channels(base * picks["se"], rules.channel_multiple), rules.gate)
    skip: Skip = picks["skip"]
    if in_channels != out_channels or (skip == "identity" and stride != 1):
        skip = "none"
    return Block(
        kind=kind.name,
        out_channels=out_channels,
        kernel=picks["kernel"],
        stride=stride,
        expanded=expanded,
        se=se,
        activation=picks["activation"],
        skip=skip,
    )


@dataclass(frozen=True, slots=True)
class HeadChoices:
    """The choices after the blocks; ``conv_expansion`` times the last width (rounded), or else ``conv_channels``."""

    conv_channels: tuple[int, ...]
    conv_expansion: tuple[float, ...]
    hidden_channels: tuple[int, ...]
    activation: Activation

    def options(self) -> dict[str, tuple[Any, ...]]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "activation"}

    def head(self, picks: Picks, in_channels: int, rules: Rules) -> Head:
        """Build the head for one choice of each option."""
        ratio = picks["conv_expansion"]
        channels = round_channels(in_channels * ratio, rules.channel_multiple) if ratio else picks["conv_channels"]
        return Head(channels, picks["hidden_channels"], self.activation)


@dataclass(frozen=True)
class SearchSpace:
    """A product of categorical decisions, and the rule that turns one choice of each into an `Arch`.

    With ``aliases`` two token tuples may mean one network: results are to be shared by ``Arch.key``.
    """

    name: str
    resolution: int
    classes: int
    aliases: bool
    rules: Rules
    stem: Stem
    stages: tuple[Stage, ...]
    head: HeadChoices
    decisions: tuple[Decision, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owners = [(f"stage{index + 1}", stage.options()) for index, stage in enumerate(self.stages)]
        owners.append(("head", self.head.options()))
        decisions = tuple(
            Decision(f"{owner}.{name}", choices)
            for owner, options in owners
            for name, choices in options.items()
            if len(choices) > 1
        )
        object.__setattr__(self, "decisions", decisions)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of choices of each decision: all that a controller needs to know."""
        return tuple(len(decision.choices) for decision in self.decisions)

    @property
    def cardinality(self) -> int:
        """The number of token tuples."""
        return math.prod(self.sizes)

    def sample(self, rng: random.Random) -> tuple[int, ...]:
        """Draw tokens uniformly."""
        return tuple(rng.randrange(size) for size in self.sizes)

    def check_tokens(self, tokens: Sequence[int]) -> None:
        """Raise ``InputError`` unless there is one token in range for each decision."""
        if len(tokens) != len(self.decisions):
            raise InputError(f"space {self.name!r} takes {len(self.decisions)} tokens, got {len(tokens)}")
        for token, decision in zip(tokens, self.decisions, strict=True):
            if not 0 <= token < len(decision.choices):
                raise InputError(
                    f"token for {decision.name} must be 0 to {len(decision.choices) - 1} in space {self.name!r}, "
                    f"got {token}"
                )

    def paths(self) -> Paths:
        """Walk all networks at once."""
        return Paths(self)

    def ops(self) -> list[Op]:
        """List every Op that some network of the space has, each once, in the order of the network."""
        return self.paths().ops()

    def extremes(self, cost: Callable[[Op], float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Find the tokens of the cheapest and of the dearest network, exactly, for a cost that adds up over Ops."""
        paths = self.paths()
        return paths.cheapest(cost), paths.dearest(cost)

    def decode(self, tokens: Sequence[int]) -> Arch:
        """Build the network that the tokens choose; ``InputError`` if they are not of this space."""
        self.check_tokens(tokens)
        rest = list(tokens)
        blocks: list[Block] = []
        channels = self.stem.channels
        for stage in self.stages:
            chosen = stage.blocks(take(stage.options(), rest), channels, self.rules)
            blocks += chosen
            channels = chosen[-1].out_channels if chosen else channels
        head = self.head.head(take(self.head.options(), rest), channels, self.rules)
        return Arch(self.name, self.resolution, self.classes, self.stem, tuple(blocks), head)

    def encode(self, arch: Arch) -> tuple[int, ...]:
        """Find tokens that decode to this network (the name may differ); ``InputError`` if the space lacks it."""
        if (arch.resolution, arch.classes, arch.stem) == (self.resolution, self.classes, self.stem):
            found = self._encode_from(0, arch.blocks, self.stem.channels, arch.head)
            if found is not None:
                return found
        raise InputError(f"network {arch.name!r} is not a point of space {self.name!r}")

    def _encode_from(self, index: int, blocks: tuple[Block, ...], channels: int, head: Head) -> tuple[int, ...] | None:
        """Match the blocks left to stage ``index`` and on, trying choices in token order."""
        if index == len(self.stages):
            if blocks:
                return None
            for tokens, picks in choices_of(self.head.options()):
                if self.head.head(picks, channels, self.rules) == head:
                    return tokens
            return None
        stage = self.stages[index]
        tried = set()
        for tokens, picks in choices_of(stage.options()):
            chosen = stage.blocks(picks, channels, self.rules)
            if len(chosen) in tried or blocks[: len(chosen)] != chosen:
                continue
            tried.add(len(chosen))
            width = chosen[-1].out_channels if chosen else channels
            rest = self._encode_from(index + 1, blocks[len(chosen) :], width, head)
            if rest is not None:
                return tokens + rest
        return None
