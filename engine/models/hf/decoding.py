"""Decoding many requests at once, which come and go between two tokens (continuous batching).

One `Decoder.step` reads a piece of the prompts of one group of new rows, then writes one token in each
running row. So a long prompt stalls nobody for longer than a piece takes, and who leaves is gone at the
next step. After Yu et al., "Orca" (OSDI 2022), section 3.1, iteration-level scheduling.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from engine.models.base import FinishReason
from engine.models.hf.loading import Loaded
from engine.models.hf.prefixes import PrefixStore
from engine.models.hf.rows import Pairs, RowCache
from engine.models.hf.sampling import Choice, Sampling, choose
from engine.models.hf.text import TextStream


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is computed at a time, in tokens, padding counted.

    ``piece``: of prompts in one step. ``group``: prompts that are read together. ``waste``: the share of
    padding at which a prompt of another length goes into another group. A CPU gains nothing from a group
    larger than a piece, and each of its pieces would go through all that the group has kept.
    """

    piece: int
    group: int
    waste: float = 0.25

    @classmethod
    def of(cls, device: torch.device) -> Sizes:
        return cls(256, 256) if device.type == "cpu" else cls(4096, 16384)


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt as ``tokens``. Prompts with the same ``shared`` have their beginning in common; "" none."""

    number: int
    tokens: Sequence[int]
    shared: str
    max_tokens: int
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Written:
    """More text of an answer, with the tokens that spell it where their probabilities were asked for."""

    text: str
    tokens: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an answer."""

    reason: FinishReason
    prompt_tokens: int
    written: int
    cached: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The end of an answer that came to nothing."""

    why: str


Piece = Written | Done | Broken


@dataclass(slots=True)
class _Row:
    request: Request
    text: TextStream
    cached: int = 0
    written: int = 0
    last: int = 0
    held: list[Choice] = field(default_factory=list)
    gone: bool = False


@dataclass(slots=True)
class _Group:
    """Rows whose prompts are read together: what was kept of each lies before column ``begin``, the rest
    from there on. ``read`` of the columns after ``begin`` are done."""

    rows: list[_Row]
    cache: RowCache
    begin: int
    logits: list[Tensor | None]
    read: int = 0

    def rest(self, row: int) -> int:
        """Return how many tokens of a row have to be computed."""
        return len(self.rows[row].request.tokens) - self.rows[row].cached

    @property
    def width(self) -> int:
        return max(self.rest(row) for row in range(len(self.rows)))


class Decoder:
    """Answers requests with one model, at most ``slots`` at a time, in the order of their coming."""

    def __init__(
        self, loaded: Loaded, *, slots: int, store: PrefixStore | None = None, sizes: Sizes | None = None
    ) -> None:
        self._loaded = loaded
        self._slots = slots
        self._store = store
        self._sizes = sizes or Sizes.of(loaded.device)
        self._waiting: list[_Row] = []
        self._group: _Group | None = None
        self._running: list[_Row] = []
        self._cache = RowCache(loaded.layers)
        self._keeps_logits = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._group or self._running)

    def add(self, request: Request) -> None:
        self._waiting.append(_Row(request, TextStream(self._loaded.tokenizer)))

    def cancel(self, number: int) -> None:
        """Forget a request; nothing more is said of it."""
        self._waiting = [row for row in self._waiting if row.request.number != number]
        for row in (*self._running, *(self._group.rows if self._group else ())):
            row.gone = row.gone or row.request.number == number

    @torch.inference_mode()
    def step(self) -> Iterator[tuple[int, Piece]]:
        """Compute a piece of the new prompts and a token of each running row; yield what came of it."""
        self._leave_finished()
        if self._group is None and self._waiting and len(self._running) < self._slots:
            self._group = self._next_group()
        if self._group is not None:
            yield from self._read(self._group)
        if self._running:
            yield from self._write()

    # --- reading prompts -------------------------------------------------------------------------

    def _next_group(self) -> _Group:
        """Take the oldest row, and those behind it that can be read with it without much padding."""
        free = self._slots - len(self._running)
        kept: dict[int, Pairs | None] = {}
        computing: set[str] = set()
        chosen: list[_Row] = []
        for row in self._by_likeness():
            key = row.request.shared
            found = self._store.find(key, row.request.tokens) if self._store and key else None
            row.cached = found[0][0].shape[1] if found else 0
            if chosen and (key in computing or not self._fits(chosen, row)):
                continue
            if self._store and key and key not in self._store:
                computing.add(key)  # the rows after it wait until its prefix is there
            chosen.append(row)
            kept[row.request.number] = found
            if len(chosen) == free:
                break
        cache = RowCache(self._loaded.layers)
        cache.add([kept[row.request.number] for row in chosen])
        self._waiting = [row for row in self._waiting if row not in chosen]
        return _Group(chosen, cache, max(row.cached for row in chosen), [None] * len(chosen))

    def _by_likeness(self) -> list[_Row]:
        oldest = self._waiting[0]
        length = len(oldest.request.tokens)
        return [oldest, *sorted(self._waiting[1:], key=lambda row: abs(len(row.request.tokens) - length))]

    def _fits(self, chosen: list[_Row], row: _Row) -> bool:
        lengths = [len(one.request.tokens) - one.cached for one in (*chosen, row)]
        columns = max(lengths) * len(lengths)
        return columns <= self._sizes.group and columns - sum(lengths) <= self._sizes.waste * columns

    def _read(self, group: _Group) -> Iterator[tuple[int, Piece]]:
        if all(row.gone for row in group.rows):
            self._group = None
            return
        first = group.read
        end = min(group.width, first + max(1, self._sizes.piece // len(group.rows)))
        self._read_columns(group, first, end)
        group.read = end
        if end < group.width:
            return
        self._group = None
        logits = torch.stack([scores for scores in group.logits if scores is not None])
        choices = choose(logits, [row.request.sampling for row in group.rows])
        said: list[tuple[int, Piece]] = []
        joining: list[Pairs | None] = []
        for at, (row, choice) in enumerate(zip(group.rows, choices, strict=True)):
            kv = group.cache.take(at, group.begin - row.cached, group.begin + group.rest(at))
            if self._store and row.request.shared:
                self._store.keep(row.request.shared, row.request.tokens, kv)
            if row.gone:
                continue
            said += self._said(row, choice)
            if not row.gone:
                self._running.append(row)
                joining.append(kv)
        self._cache.add(joining)
        yield from said

    def _read_columns(self, group: _Group, first: int, end: int) -> None:
        """Compute the columns from ``first`` to before ``end`` after ``begin``, in all rows."""
        device = self._loaded.device
        rests = [group.rest(row) for row in range(len(group.rows))]
        cached = torch.tensor([row.cached for row in group.rows], device=device)
        pieces = [list(row.request.tokens[row.cached + first : row.cached + end]) for row in group.rows]
        tokens = torch.tensor([piece + [0] * (end - first - len(piece)) for piece in pieces], device=device)
        columns = torch.arange(group.begin + end, device=device)
        after = group.begin + torch.tensor(rests, device=device)
        real = (columns >= (group.begin - cached)[:, None]) & (columns < after[:, None])
        positions = cached[:, None] + torch.arange(first, end, device=device)
        lasts = sorted({rest - 1 - first for rest in rests if first < rest <= end}) or [end - 1 - first]
        logits = self._forward(tokens, real, positions, group.cache, lasts)
        for at, rest in enumerate(rests):
            if first < rest <= end:
                group.logits[at] = logits[at, lasts.index(rest - 1 - first)]

    # --- writing answers -------------------------------------------------------------------------

    def _write(self) -> Iterator[tuple[int, Piece]]:
        device, cache = self._loaded.device, self._cache
        lengths = torch.tensor(cache.lengths, device=device)
        columns = torch.arange(cache.columns + 1, device=device)
        real = columns >= (cache.columns - lengths)[:, None]
        tokens = torch.tensor([[row.last] for row in self._running], device=device)
        logits = self._forward(tokens, real, lengths[:, None], cache, [0])[:, 0]
        cache.lengths = [length + 1 for length in cache.lengths]
        choices = choose(logits, [row.request.sampling for row in self._running])
        for row, choice in zip(self._running, choices, strict=True):
            yield from self._said(row, choice)
        self._leave_finished()

    def _said(self, row: _Row, choice: Choice | None) -> Iterator[tuple[int, Piece]]:
        """Take the next token of a row; a row that ends is ``gone``."""
        request = row.request
        if choice is None:
            row.gone = True
            yield request.number, Broken("it computes what is no number (NaN): its weights are damaged")
            return
        row.written += 1
        row.last = choice.token
        stopped = choice.token in self._loaded.stops
        row.gone = stopped or row.written >= request.max_tokens
        text = "" if stopped else row.text.push(choice.token)
        if request.sampling.top_logprobs and not stopped:
            row.held.append(choice)
        if row.gone:
            text += row.text.flush()
        if text or (row.gone and row.held):
            tokens, row.held = tuple(row.held), []
            yield request.number, Written(text, tokens)
        if row.gone:
            reason = FinishReason.STOP if stopped else FinishReason.LENGTH
            yield request.number, Done(reason, len(request.tokens), row.written, row.cached)

    def _leave_finished(self) -> None:
        for at in reversed(range(len(self._running))):
            if self._running[at].gone:
                self._leave(at)

    def _leave(self, at: int) -> None:
        self._cache.drop(at)
        self._running[at] = self._running[-1]
        self._running.pop()

    def _forward(
        self, tokens: Tensor, real: Tensor, positions: Tensor, cache: RowCache, keep: list[int]
    ) -> Tensor:
        """Return the scores of the columns ``keep`` of ``tokens``: [rows, len(keep), vocabulary]."""
        options: dict[str, Any] = {}
        if self._keeps_logits:
            options["logits_to_keep"] = torch.tensor(keep, device=tokens.device)
        logits: Tensor = self._loaded.model(
            input_ids=tokens,
            attention_mask=real.long(),
            position_ids=positions,
            cache=cache,
            use_cache=True,
            **options,
        ).logits
        return logits if self._keeps_logits else logits[:, keep]
