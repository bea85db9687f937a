"""From the scores of a step to one token per row, each row in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row is sampled; greedily at ``temperature`` 0. Two rows never share a generator."""

    temperature: float
    top_p: float
    top_logprobs: int
    generator: torch.Generator

    @classmethod
    def of(cls, temperature: float, top_p: float, seed: int, top_logprobs: int) -> Sampling:
        generator = torch.Generator().manual_seed(seed % 2**63)
        return cls(temperature, top_p, top_logprobs, generator)


@dataclass(frozen=True, slots=True)
class Choice:
    """A token; its natural log-probability before temperature, and the likeliest ones, if asked for."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: Tensor, rows: Sequence[Sampling]) -> list[Choice | None]:
    """Choose a token for each row of ``logits``, [rows, vocabulary]; None where they are no numbers.

    Nucleus sampling (Holtzman et al., arXiv 1904.09751, section 3.1): the smallest set of likeliest tokens
    whose probability reaches ``top_p``. One number is drawn per token, from the row's own generator.
    """
    logits = logits.float()
    sound = logits.amax(-1).isfinite().tolist()
    greedy = logits.argmax(-1).tolist()
    choices: list[Choice | None] = []
    for at, row in enumerate(rows):
        if not sound[at]:
            choices.append(None)
            continue
        token = _drawn(logits[at], row) if row.temperature > 0 else greedy[at]
        if row.top_logprobs:
            logprobs = logits[at].log_softmax(-1)
            values, tokens = logprobs.topk(min(row.top_logprobs, logprobs.shape[0]))
            top = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
            choices.append(Choice(token, float(logprobs[token]), top))
        else:
            choices.append(Choice(token))
    return choices


def _drawn(logits: Tensor, row: Sampling) -> int:
    probabilities = (logits.cpu().double() / row.temperature).softmax(-1)
    place = torch.rand((), generator=row.generator, dtype=torch.float64)
    if row.top_p >= 1:
        tokens = None
    else:
        probabilities, tokens = probabilities.sort(descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities[: max(1, int((before < row.top_p).sum()))]
    reached = probabilities.cumsum(-1)
    at = min(int(torch.searchsorted(reached, place * reached[-1], right=True)), len(reached) - 1)
    return at if tokens is None else int(tokens[at])
