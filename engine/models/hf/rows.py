"""Keys and values of the rows that are decoded together.

All rows end at the same column: a row's tokens lie in the last columns, and what lies before the first
of them is hidden by the mask. So the rows of a batch may differ in length, a token is appended without
moving anything, and the order of columns is the order of tokens, which is what masks of every kind of
attention (sliding windows, too) are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

Pairs = list[tuple[Tensor, Tensor]]
"""Keys and values of one row, layer by layer, each of shape [heads, tokens, width]."""

GROWTH = 256
"""Columns of room that a buffer is given when it grows."""


class RowLayer(CacheLayerMixin):
    """Keys and values of one layer, [rows, heads, columns, width], in a buffer with room to grow.

    The rows in use are the first ones; the columns in use are those from ``start`` to ``end``.
    """

    is_sliding = False
    keys: Any
    values: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = self.start = self.end = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys = key_states.new_zeros((0, key_states.shape[1], 0, key_states.shape[3]))
        self.values = value_states.new_zeros((0, value_states.shape[1], 0, value_states.shape[3]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        self.rows = key_states.shape[0]
        self.reserve(self.rows, self.length, key_states.shape[2], key_states, value_states)
        begin, self.end = self.end, self.end + key_states.shape[2]
        self.keys[: self.rows, :, begin : self.end] = key_states
        self.values[: self.rows, :, begin : self.end] = value_states
        columns = slice(self.start, self.end)
        return self.keys[: self.rows, :, columns], self.values[: self.rows, :, columns]

    @property
    def length(self) -> int:
        return self.end - self.start

    def reserve(self, rows: int, length: int, more: int, keys: Tensor, values: Tensor) -> None:
        """Have room for ``rows`` rows of ``length`` columns before ``end`` and ``more`` after it.

        New columns are zeros: behind a mask a number does no harm, but what is no number would.
        """
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        if rows <= self.keys.shape[0] and length <= self.end and self.end + more <= self.keys.shape[2]:
            return
        kept, end = self.length, max(length, self.length)
        shape = (max(rows, self.keys.shape[0]), end + more + GROWTH)
        self.keys = self._moved(self.keys, shape, end)
        self.values = self._moved(self.values, shape, end)
        self.start, self.end = end - kept, end

    def _moved(self, old: Tensor, shape: tuple[int, int], end: int) -> Tensor:
        new = old.new_zeros((shape[0], old.shape[1], shape[1], old.shape[3]))
        new[: old.shape[0], :, end - self.length : end] = old[:, :, self.start : self.end]
        return new

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return -1


class RowCache(Cache):
    """The cache of a batch: what transformers models write to, and rows are added to and taken from."""

    layers: Any

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[RowLayer() for _ in range(layers)])
        self.lengths: list[int] = []

    @property
    def columns(self) -> int:
        columns: int = self.layers[0].length
        return columns

    def add(self, rows: Sequence[Pairs | None]) -> None:
        """Add rows with these keys and values, or empty ones. Each call may move all rows that are there."""
        first = len(self.lengths)
        self.lengths += [row[0][0].shape[1] if row else 0 for row in rows]
        longest = max(self.lengths[first:], default=0)
        filled = [(place, row) for place, row in enumerate(rows, first) if row]
        for number, layer in enumerate(self.layers):
            for place, row in filled:
                keys, values = row[number]
                layer.reserve(len(self.lengths), longest, 0, keys[None], values[None])
                layer.rows, layer.start = len(self.lengths), min(layer.start, layer.end - longest)
                columns = slice(layer.end - keys.shape[1], layer.end)
                layer.keys[place, :, columns] = keys
                layer.values[place, :, columns] = values

    def take(self, row: int, first: int, end: int) -> Pairs:
        """Return a view of the keys and values of a row, from column ``first`` to before ``end``."""
        pairs = []
        for layer in self.layers:
            columns = slice(layer.start + first, layer.start + end)
            pairs.append((layer.keys[row, :, columns], layer.values[row, :, columns]))
        return pairs

    def drop(self, row: int) -> None:
        """Take a row out; the last one moves to its place. What was no number in it must not stay behind."""
        last = len(self.lengths) - 1
        longest = max((n for at, n in enumerate(self.lengths) if at != row), default=0)
        for layer in self.layers:
            if row != last:
                columns = slice(layer.end - self.lengths[last], layer.end)
                layer.keys[row, :, columns] = layer.keys[last, :, columns]
                layer.values[row, :, columns] = layer.values[last, :, columns]
            layer.keys[last, :, layer.start : layer.end] = 0
            layer.values[last, :, layer.start : layer.end] = 0
            layer.rows = last
            layer.start = layer.end - longest
        self.lengths[row] = self.lengths[last]
        self.lengths.pop()
