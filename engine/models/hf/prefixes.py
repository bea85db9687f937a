"""Keys and values of what prompts begin with, kept from one prompt to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.models.hf.rows import Pairs


@dataclass(slots=True)
class _Kept:
    """The last prompt under a key. ``base`` is what it had in common with those before; ``tail`` the rest."""

    tokens: Sequence[int]
    base: Pairs
    tail: Pairs

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for pairs in (self.base, self.tail) for pair in pairs for tensor in pair)


class PrefixStore:
    """The last prompt of each key (a policy), at most ``max_bytes`` of them all, the least used going first.

    A prompt finds as much of itself as it has in common with the last one under its key, wherever in the
    text that ends: the policy, the frame of the content, or the whole of the same prompt.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    @property
    def bytes(self) -> int:
        return sum(kept.bytes for kept in self._kept.values())

    def find(self, key: str, tokens: Sequence[int]) -> Pairs | None:
        """Return what is kept of the beginning of a prompt, less its last token, which has to be computed."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        shared = min(common(kept.tokens, tokens), len(tokens) - 1)
        if not shared:
            return None
        based = kept.base[0][0].shape[1]
        if shared <= based or not kept.tail:
            return _cut(kept.base, shared)
        return _joined(kept.base, _cut(kept.tail, shared - based))

    def keep(self, key: str, tokens: Sequence[int], row: Pairs) -> None:
        """Keep a prompt in the place of the last one under its key. ``row`` is copied."""
        kept = self._kept.pop(key, None)
        if kept is None:
            new = _Kept(tokens, _copied(row, 0), [])
        else:
            based, shared = kept.base[0][0].shape[1], common(kept.tokens, tokens)
            base = kept.base if shared >= based else _copied(_cut(kept.base, shared), 0)
            new = _Kept(tokens, base, _copied(row, min(based, shared)))
        self._kept[key] = new
        while self.bytes > self._max_bytes:
            self._kept.popitem(last=False)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two prompts have in common at their beginnings."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _cut(pairs: Pairs, tokens: int) -> Pairs:
    return [(keys[:, :tokens], values[:, :tokens]) for keys, values in pairs]


def _copied(pairs: Pairs, first: int) -> Pairs:
    return [(keys[:, first:].clone(), values[:, first:].clone()) for keys, values in pairs]


def _joined(base: Pairs, tail: Pairs) -> Pairs:
    return [
        (torch.cat((keys, more_keys), 1), torch.cat((values, more_values), 1))
        for (keys, values), (more_keys, more_values) in zip(base, tail, strict=True)
    ]
