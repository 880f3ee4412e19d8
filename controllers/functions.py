"""Functions of tokens, as the reward model draws them: effects of choices, and likeness to networks that were seen."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]

RIPPLES = 256  # random features of a function drawn from the prior; its variances are right to a few per cent


@dataclass(frozen=True)
class Encoding:
    """Turns tokens into one-hot columns, and says how alike two networks are."""

    sizes: tuple[int, ...]

    @cached_property
    def open(self) -> tuple[int, ...]:
        """The decisions that have a choice at all."""
        return tuple(index for index, size in enumerate(self.sizes) if size > 1)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first column of each decision."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The decision of each column."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def scales(self) -> Array:
        """What a centred column is multiplied by; a decision without a choice has none."""
        sizes = np.array(self.sizes, dtype=np.float64)[self.owners]
        return np.where(sizes > 1, 1 / np.sqrt(1 - 1 / np.maximum(sizes, 1.5)), 0.0)

    @cached_property
    def means(self) -> Array:
        return 1 / np.array(self.sizes, dtype=np.float64)[self.owners]

    def hot(self, tokens: Tokens) -> NDArray[np.float32]:
        """Encode tokens (n, decisions) as ones and zeros, (n, sum of sizes)."""
        hot = np.zeros((len(tokens), len(self.owners)), dtype=np.float32)
        hot[np.arange(len(tokens))[:, None], tokens + self.starts] = 1
        return hot

    def centred(self, hot: NDArray[np.float32]) -> Array:
        """Centre ones and zeros, and scale them so that agreeing in a decision counts 1."""
        columns: Array = (hot - self.means) * self.scales
        return columns

    def kernels(self, a: Tokens, b: Tokens) -> tuple[Array, Array]:
        """Give the kernel of single choices, 1 on a diagonal, and in how many decisions two differ: (len(a), len(b)).

        Entry by entry, decision by decision: the same figures to the bit, however many are asked for at once.
        """
        single, differing = np.zeros((len(a), len(b))), np.zeros((len(a), len(b)))
        for index in self.open:
            differs = a[:, index][:, None] != b[:, index][None, :]
            single += np.where(differs, -1 / (self.sizes[index] - 1), 1.0)
            differing += differs
        return single / max(len(self.open), 1), differing


@dataclass(frozen=True)
class Ripples:
    """A draw from the prior whose covariance falls by a factor with each decision that differs.

    Random features (Rahimi and Recht 2007): each is a product of random signs of the choices of some decisions, which a
    decision enters with a probability of one less the factor.
    """

    odd: NDArray[np.float32]  # (columns, ripples): 1 where a choice turns the sign, else 0
    heights: NDArray[np.float32]  # (ripples,)

    @classmethod
    def drawn(cls, encoding: Encoding, factor: float, generator: np.random.Generator) -> "Ripples":
        """Draw one of variance 1."""
        enters = generator.random((len(encoding.sizes), RIPPLES)) < 1 - factor
        odd = (enters[encoding.owners] & (generator.random((len(encoding.owners), RIPPLES)) < 0.5)).astype(np.float32)
        heights = generator.standard_normal(RIPPLES) / RIPPLES**0.5
        return cls(odd, heights.astype(np.float32))

    def __call__(self, hot: NDArray[np.float32]) -> Array:
        values: Array = (self._signs(hot) @ self.heights).astype(np.float64)
        return values

    def after_changes(self, encoding: Encoding, hot: NDArray[np.float32]) -> Array:
        """Give the value after each single change of one network, (columns,)."""
        now = self.heights * self._signs(hot)[0]
        without = self._turns[hot[0] > 0] * now  # each decision's own sign taken out, (decisions, ripples)
        changed: Array = np.einsum("cr,cr->c", without[encoding.owners], self._turns).astype(np.float64)
        return changed

    def scaled(self, scale: float) -> "Ripples":
        return replace(self, heights=self.heights * np.float32(scale))

    @cached_property
    def _turns(self) -> NDArray[np.float32]:
        return 1 - 2 * self.odd

    def _signs(self, hot: NDArray[np.float32]) -> NDArray[np.float32]:
        turned = (hot @ self.odd).astype(np.int32) & 1
        return (1 - 2 * turned).astype(np.float32)


@dataclass(frozen=True)
class Function:
    """A sum of effects of choices, of pulls of networks seen, weaker with each decision that differs, and ripples."""

    encoding: Encoding
    constant: float
    linear: Array  # (columns,)
    seen: NDArray[np.float32]  # (n, columns), one-hot
    pulls: Array  # (n,)
    factor: float  # what is left of a pull for each decision that differs
    ripples: Ripples | None = None

    def __call__(self, tokens: Tokens) -> Array:
        """Give the values of tokens (n, decisions), (n,)."""
        hot = self.encoding.hot(tokens)
        values = self.constant + self.encoding.centred(hot) @ self.linear + self._likeness(hot) @ self.pulls
        return values if self.ripples is None else values + self.ripples(hot)

    def after_changes(self, tokens: Tokens) -> Array:
        """Give the value after each single change of one network (1, decisions), by column; its own choices leave it.

        A changed decision brings nearer whom it agrees with then, and moves away from whom it agreed with before.
        """
        hot = self.encoding.hot(tokens)
        columns, present = self.encoding.centred(hot), hot[0] > 0
        slopes = self.linear * self.encoding.scales
        changed: Array = self.constant + columns @ self.linear + slopes - slopes[present][self.encoding.owners]
        pulls = self._likeness(hot)[0] * self.pulls
        agreeing = pulls @ self.seen  # by column
        moved = (1 / self.factor - 1) * agreeing - (1 - self.factor) * agreeing[present][self.encoding.owners]
        changed += pulls.sum() + np.where(present, 0.0, moved)
        return changed if self.ripples is None else changed + self.ripples.after_changes(self.encoding, hot)

    def _likeness(self, hot: NDArray[np.float32]) -> Array:
        """Give what is left of each pull, (len(hot), n)."""
        left: Array = self.factor ** np.arange(len(self.encoding.sizes) + 1.0)
        likeness: Array = left[len(self.encoding.sizes) - (hot @ self.seen.T).astype(np.int64)]
        return likeness
