"""Factorised hierarchical search spaces (Tan et al. 2019, section 4.1) as data."""

import functools
import itertools
import math
import operator
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from search_spaces.arch import Activation, Arch, Block, Gate, Head, Skip, SqueezeExcite, Stem
from search_spaces.errors import InputError
from search_spaces.op import Op, block_op, head_ops, lower
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

    ``op``: ``conv``, ``dconv`` (depthwise-separable: no expansion) or ``mbconvE`` with E the expansion ratio.
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
    op: str = picks["op"]
    expanded = 0
    if op != "conv":
        ratio = 1.0 if op == "dconv" else float(op.removeprefix("mbconv"))
        expanded = in_channels if ratio == 1 else round_channels(in_channels * ratio, rules.channel_multiple)
    se = None
    if picks["se"]:
        base = in_channels if rules.se_base == "input" else expanded or out_channels
        se = SqueezeExcite(round_channels(base * picks["se"], rules.channel_multiple), rules.gate)
    skip: Skip = picks["skip"]
    if in_channels != out_channels or (skip == "identity" and stride != 1):
        skip = "none"
    return Block(
        kind="conv" if op == "conv" else "mbconv",
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

    def decode(self, tokens: Sequence[int]) -> Arch:
        """Build the network that the tokens choose; ``InputError`` if they are not of this space."""
        self.check_tokens(tokens)
        rest = list(tokens)
        blocks: list[Block] = []
        channels = self.stem.channels
        for stage in self.stages:
            chosen = stage.blocks(_take(stage.options(), rest), channels, self.rules)
            blocks += chosen
            channels = chosen[-1].out_channels if chosen else channels
        head = self.head.head(_take(self.head.options(), rest), channels, self.rules)
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
            for tokens, picks in _choices(self.head.options()):
                if self.head.head(picks, channels, self.rules) == head:
                    return tokens
            return None
        stage = self.stages[index]
        tried = set()
        for tokens, picks in _choices(stage.options()):
            chosen = stage.blocks(picks, channels, self.rules)
            if len(chosen) in tried or blocks[: len(chosen)] != chosen:
                continue
            tried.add(len(chosen))
            width = chosen[-1].out_channels if chosen else channels
            rest = self._encode_from(index + 1, blocks[len(chosen) :], width, head)
            if rest is not None:
                return tokens + rest
        return None

    def ops(self) -> list[Op]:
        """List every Op that some network of the space has, each once, in the order of the network."""
        return list(dict.fromkeys(op for step in self._steps() for move in step for op in move.ops))

    def extremes(self, cost: Callable[[Op], float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Find the tokens of the cheapest and of the dearest network, exactly, for a cost that adds up over Ops."""
        price = functools.cache(cost)
        start: _Paths = {None: (0.0, ())}
        cheapest, dearest = start, start
        for step in self._steps():
            cheapest = _extend(cheapest, step, price, operator.lt)
            dearest = _extend(dearest, step, price, operator.gt)
        return min(cheapest.values())[1], max(dearest.values())[1]

    def _steps(self) -> Iterator[list["_Move"]]:
        """Walk all networks at once: for the stem, each stage and the head, every move between feature map sizes."""
        smallest = self.decode([0] * len(self.sizes))
        stem = lower(smallest)[0]
        yield [_Move(None, (), _size_after([stem], None), (stem,))]
        sizes = {_size_after([stem], None)}
        for stage in self.stages:
            moves = []
            for size, (tokens, picks) in itertools.product(sorted(sizes), list(_choices(stage.options()))):
                ops = _chain(stage.blocks(picks, size[2], self.rules), size)
                moves.append(_Move(size, tokens, _size_after(ops, size), tuple(ops)))
            sizes = {move.after for move in moves}
            yield moves
        moves = []
        for size, (tokens, picks) in itertools.product(sorted(sizes), list(_choices(self.head.options()))):
            head = self.head.head(picks, size[2], self.rules)
            moves.append(_Move(size, tokens, (1, 1, 0), tuple(head_ops(replace(smallest, head=head), *size))))
        yield moves


_Size = tuple[int, int, int]  # height, width, channels of a feature map
_Paths = dict[_Size | None, tuple[float, tuple[int, ...]]]  # the best cost and its tokens for each feature map reached


@dataclass(frozen=True, slots=True)
class _Move:
    before: _Size | None
    tokens: tuple[int, ...]
    after: _Size
    ops: tuple[Op, ...]


def _extend(
    paths: _Paths, step: Sequence[_Move], price: Callable[[Op], float], better: Callable[[float, float], bool]
) -> _Paths:
    """Take one step of the shortest (or longest) path through the space."""
    extended: _Paths = {}
    for move in step:
        so_far, tokens = paths[move.before]
        total = so_far + sum(price(op) for op in move.ops)
        if move.after not in extended or better(total, extended[move.after][0]):
            extended[move.after] = (total, tokens + move.tokens)
    return extended


def _chain(blocks: Sequence[Block], size: _Size) -> list[Op]:
    ops: list[Op] = []
    for block in blocks:
        ops.append(block_op(block, *_size_after(ops, size)))
    return ops


def _size_after(ops: Sequence[Op], size: _Size | None) -> _Size:
    if ops:
        return ops[-1].out_height, ops[-1].out_width, ops[-1].out_channels
    assert size is not None  # only the stem starts from nothing, and it is an Op
    return size


def _take(options: Mapping[str, tuple[Any, ...]], tokens: list[int]) -> dict[str, Any]:
    """Pick one choice of each option, using up a token for each that leaves a choice."""
    return {name: choices[tokens.pop(0)] if len(choices) > 1 else choices[0] for name, choices in options.items()}


def _choices(options: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Yield every combination of the options as its tokens and its picks, in token order."""
    open_sizes = [range(len(choices)) for choices in options.values() if len(choices) > 1]
    for tokens in itertools.product(*open_sizes):
        yield tokens, _take(options, list(tokens))
