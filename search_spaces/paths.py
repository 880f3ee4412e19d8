"""All networks of a space at once, as paths: its Ops, the cheapest and dearest network, networks that cover all Ops.

A space is walked step by step (stem, stages, head) from feature map size to feature map size. What depends on Ops alone
and adds up over them needs no walk over single networks: a space of 10^18 has some thousand moves.
"""

import functools
import itertools
import operator
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from search_spaces.arch import Block
from search_spaces.op import Op, block_op, head_ops, lower
from search_spaces.options import choices_of

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace

_Size = tuple[int, int, int]  # height, width, channels of a feature map
_Better = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class _Move:
    before: _Size | None
    tokens: tuple[int, ...]
    after: _Size
    ops: tuple[Op, ...]


class Paths:
    """The moves of a space."""

    def __init__(self, space: "SearchSpace") -> None:
        self._steps = list(_steps(space))

    def ops(self) -> list[Op]:
        """List every Op that some network of the space has, each once, in the order of the network."""
        return list(dict.fromkeys(op for step in self._steps for move in step for op in move.ops))

    def cheapest(self, cost: Callable[[Op], float]) -> tuple[int, ...]:
        """Find the tokens of the network whose Ops cost least together, exactly."""
        return self._extreme(cost, operator.lt)

    def dearest(self, cost: Callable[[Op], float]) -> tuple[int, ...]:
        """Find the tokens of the network whose Ops cost most together, exactly."""
        return self._extreme(cost, operator.gt)

    def pricing(self, cost: Callable[[Op], float]) -> Callable[[Sequence[int]], float]:
        """Give a function that adds a cost up over the Ops of the network that tokens choose, without building it."""
        price = functools.cache(cost)
        steps = [
            (
                len(step[0].tokens),
                {(move.before, move.tokens): (sum(map(price, move.ops)), move.after) for move in step},
            )
            for step in self._steps
        ]

        def total(tokens: Sequence[int]) -> float:
            rest, size, summed = tuple(tokens), None, 0.0
            for taken, moves in steps:
                added, size = moves[size, rest[:taken]]
                rest, summed = rest[taken:], summed + added
            return summed

        return total

    def covering(self, times: int, rng: random.Random) -> Iterator[tuple[int, ...]]:
        """Give the tokens of networks that together hold each Op in at least ``times`` of them.

        Each network is the one with the most Ops that are still wanted; ties fall at random, so that Ops meet many
        others. An Op that stands in it several times counts once.
        """
        wanted = Counter(dict.fromkeys(self.ops(), times))
        while any(count > 0 for count in wanted.values()):
            worth = {op: (count > 0) + rng.random() / len(wanted) for op, count in wanted.items()}
            path = self._best(functools.partial(_worth, worth=worth), operator.gt)
            wanted.subtract(path.ops)
            yield path.tokens

    def _extreme(self, cost: Callable[[Op], float], better: _Better) -> tuple[int, ...]:
        price = functools.cache(cost)
        return self._best(lambda move: sum(price(op) for op in move.ops), better).tokens

    def _best(self, price: Callable[[_Move], float], better: _Better) -> "_Path":
        """Find the best path, by dynamic programming over feature map sizes."""
        paths: dict[_Size | None, _Path] = {None: _Path(0.0, ())}
        for step in self._steps:
            extended: dict[_Size | None, _Path] = {}
            for move in step:
                total = paths[move.before].total + price(move)
                if move.after not in extended or better(total, extended[move.after].total):
                    extended[move.after] = _Path(total, (*paths[move.before].moves, move))
            paths = extended
        (end,) = paths.values()  # the head leads all networks to the same size
        return end


@dataclass(frozen=True, slots=True)
class _Path:
    total: float
    moves: tuple[_Move, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(token for move in self.moves for token in move.tokens)

    @property
    def ops(self) -> frozenset[Op]:
        return frozenset(op for move in self.moves for op in move.ops)


def _worth(move: _Move, worth: Mapping[Op, float]) -> float:
    return sum(worth[op] for op in set(move.ops))


def _steps(space: "SearchSpace") -> Iterator[list[_Move]]:
    """Walk: for the stem, each stage and the head, every move between feature map sizes."""
    smallest = space.decode([0] * len(space.sizes))
    stem = lower(smallest)[0]
    yield [_Move(None, (), _size_after([stem], None), (stem,))]
    sizes = {_size_after([stem], None)}
    for stage in space.stages:
        moves = []
        for size, (tokens, picks) in itertools.product(sorted(sizes), list(choices_of(stage.options()))):
            ops = _chain(stage.blocks(picks, size[2], space.rules), size)
            moves.append(_Move(size, tokens, _size_after(ops, size), tuple(ops)))
        sizes = {move.after for move in moves}
        yield moves
    moves = []
    for size, (tokens, picks) in itertools.product(sorted(sizes), list(choices_of(space.head.options()))):
        head = space.head.head(picks, size[2], space.rules)
        moves.append(_Move(size, tokens, (1, 1, 0), tuple(head_ops(replace(smallest, head=head), *size))))
    yield moves


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
