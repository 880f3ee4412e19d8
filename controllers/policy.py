"""The policy: a recurrent network that emits one token after another.

One LSTM layer reads the previous token and each decision has its own softmax, as in the controller of NASNet (Zoph
et al. 2018, appendix), which MnasNet and MobileNetV3 take over.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INIT_RANGE = 0.1  # weights start uniform in +-0.1; Zoph et al. 2018
IMPOSSIBLE = -1e9  # logit of a choice that a decision does not have; finite, so that its gradient is 0 and not nan


class Policy(nn.Module):
    """Give every token tuple a probability, as a product over decisions, each conditioned on those before it."""

    def __init__(self, sizes: Sequence[int], hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        widest = max(sizes)
        # Made without values: torch would draw them from the global generator, which is not ours.
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, device="meta").to_empty(device="cpu")
        self.embedding = nn.Parameter(torch.empty(1 + sum(sizes[:-1]), hidden))  # row 0: before the first
        self.head_weight = nn.Parameter(torch.empty(len(sizes), widest, hidden))
        self.head_bias = nn.Parameter(torch.empty(len(sizes), widest))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INIT_RANGE, INIT_RANGE, generator=generator)
        possible = torch.arange(widest) < torch.tensor(sizes)[:, None]  # (decisions, widest)
        self.register_buffer("mask", torch.where(possible, 0.0, IMPOSSIBLE), persistent=False)
        first_rows = torch.tensor([0, *sizes[:-1]]).cumsum(0) + 1  # where each decision's tokens lie in the embedding
        self.register_buffer("first_rows", first_rows, persistent=False)
        self.mask: Tensor
        self.first_rows: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the log-probability of every choice, given the tokens before it.

        tokens: (batch, decisions); result: (batch, decisions, widest decision), about -1e9 where there is no choice.
        """
        read = (tokens + self.first_rows)[:, :-1]
        read = torch.cat([read.new_zeros(len(tokens), 1), read], dim=1)
        outputs, _ = self.lstm(F.embedding(read, self.embedding))
        logits = torch.einsum("bdh,dch->bdc", outputs, self.head_weight) + self.head_bias
        return F.log_softmax(logits + self.mask, dim=-1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, heat: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Draw n token tuples (n, decisions), with the log-probabilities of what they are drawn from.

        Those are as ``forward`` gives them at a heat of 1; more heat, of all or (n, 1), evens out the choices.
        """
        read, state = torch.zeros(n, dtype=torch.long), None
        heads = self.head_bias + self.mask
        tokens, log_probabilities = [], []
        for decision, first_row in enumerate(self.first_rows.tolist()):
            output, state = self.lstm(F.embedding(read[:, None], self.embedding), state)
            logits = torch.addmm(heads[decision], output[:, 0], self.head_weight[decision].T) / heat
            log_probabilities.append(F.log_softmax(logits, dim=-1))
            tokens.append(torch.multinomial(log_probabilities[-1].exp(), 1, generator=generator)[:, 0])
            read = tokens[-1] + first_row
        return torch.stack(tokens, dim=1), torch.stack(log_probabilities, dim=1)


def of_choices(log_probabilities: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of each token (batch, decisions), from those of all (batch, decisions, widest)."""
    return log_probabilities.gather(-1, tokens[..., None])[..., 0]


def of_tokens(log_probabilities: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probability of each token tuple (batch,), from those of all choices (batch, decisions, widest)."""
    return of_choices(log_probabilities, tokens).sum(-1)
