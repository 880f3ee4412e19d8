"""How networks are judged by a function drawn from the reward model, and bettered by a few changes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from controllers.contract import Known
from controllers.functions import Array, Encoding, Function
from controllers.functions import Tokens as TokenArray
from controllers.memory import Memory, Tokens

PAIRS = 150  # random pairs of changes that are looked at in a step, where latency is known


class Judge(Protocol):
    """Says what a function drawn from the model makes of networks."""

    def values(self, tokens: TokenArray) -> Array:
        """Give the value of each network: (n, decisions) to (n,)."""
        ...

    def after_changes(self, tokens: Tokens) -> Array:
        """Give the value after each single change of a network, by column of the encoding."""
        ...

    def better(self, tokens: Tokens, changes: int, rng: random.Random) -> Tokens:
        """Make the best change so many times, each of another decision; the last may well be for the worse."""
        ...


@dataclass(frozen=True, slots=True)
class RewardJudge:
    """Judges by a function of tokens that stands for the reward."""

    function: Function

    def values(self, tokens: TokenArray) -> Array:
        return self.function(tokens)

    def after_changes(self, tokens: Tokens) -> Array:
        return self.function.after_changes(np.array([tokens]))

    def better(self, tokens: Tokens, changes: int, rng: random.Random) -> Tokens:
        encoding = self.function.encoding
        free = np.array([size > 1 for size in encoding.sizes])
        for _ in range(min(changes, int(free.sum()))):
            values = self.after_changes(tokens)
            values[~free[encoding.owners]] = -np.inf
            values[encoding.starts + tokens] = -np.inf
            column = int(values.argmax())
            changed = int(encoding.owners[column])
            tokens = (*tokens[:changed], column - int(encoding.starts[changed]), *tokens[changed + 1 :])
            free[changed] = False
        return tokens


@dataclass(frozen=True, slots=True)
class KnownJudge:
    """Judges by a function of tokens that stands for accuracy, and by what is known of the reward beside it."""

    function: Function
    known: Known

    def values(self, tokens: TokenArray) -> Array:
        return self._rewards(self.function(tokens), [tuple(row) for row in tokens.tolist()])

    def after_changes(self, tokens: Tokens) -> Array:
        accuracies = self.function.after_changes(np.array([tokens]))
        return self._rewards(accuracies, single_changes(self.function.encoding, tokens))

    def better(self, tokens: Tokens, changes: int, rng: random.Random) -> Tokens:
        """Look at pairs of changes as well: to keep its latency, a network gives in one place what another takes."""
        sizes = self.function.encoding.sizes
        free = [index for index, size in enumerate(sizes) if size > 1]
        for _ in range(changes):
            moves = [*_singles(sizes, tokens, free), *_random_pairs(sizes, tokens, free, rng)]
            if not moves:
                break
            best = moves[int(self.values(np.array(moves)).argmax())]
            free = [index for index in free if best[index] == tokens[index]]
            tokens = best
        return tokens

    def _rewards(self, accuracies: Array, networks: Sequence[Tokens]) -> Array:
        slopes, offsets = known_parts(self.known, networks)
        rewards: Array = slopes * accuracies + offsets
        return rewards


def known_parts(known: Known, networks: Sequence[Tokens]) -> tuple[Array, Array]:
    """Ask for slope and offset of each network."""
    pairs = np.array([known(tokens) for tokens in networks], dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def single_changes(encoding: Encoding, tokens: Tokens) -> list[Tokens]:
    """Give the network after each single change, by column of the encoding; its own choices give itself."""
    return [
        (*tokens[:index], choice, *tokens[index + 1 :])
        for index, size in enumerate(encoding.sizes)
        for choice in range(size)
    ]


def nearest_new(judge: Judge, encoding: Encoding, tokens: Tokens, memory: Memory) -> Tokens | None:
    """Give a network itself if it was never proposed, else its best single change that was not; None without one."""
    if tokens not in memory:
        return tokens
    values, changed = judge.after_changes(tokens), single_changes(encoding, tokens)
    return next((changed[column] for column in np.argsort(-values).tolist() if changed[column] not in memory), None)


def _singles(sizes: Sequence[int], tokens: Tokens, free: Sequence[int]) -> list[Tokens]:
    return [
        (*tokens[:index], choice, *tokens[index + 1 :])
        for index in free
        for choice in range(sizes[index])
        if choice != tokens[index]
    ]


def _random_pairs(sizes: Sequence[int], tokens: Tokens, free: Sequence[int], rng: random.Random) -> list[Tokens]:
    moves = []
    for _ in range(PAIRS if len(free) > 1 else 0):
        changed = list(tokens)
        for index in rng.sample(free, 2):
            changed[index] = (changed[index] + rng.randrange(1, sizes[index])) % sizes[index]
        moves.append(tuple(changed))
    return moves
