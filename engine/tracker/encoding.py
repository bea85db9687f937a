"""How text and event streams are stored. Standard library only.

A prompt may hold lone surrogates, which UTF-8 cannot express, and NUL, at which SQLite's text functions
stop. Each is stored as U+001A followed by one private-use character, and so is U+001A itself. All other
text is stored as it is, so that any SQLite tool can read and search it.

A stream is stored whole, as its JSON lines under zlib: it is written once and always read from beginning
to end, and the repeated field names of thousands of token deltas, which as rows would take most of the
space, compress away.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from engine.events import Event, EventDecodeError, decode, encode

_MARK = "\x1a"
_PRIVATE_PLANE = 0x100000
_NOT_STORABLE = re.compile("[\x00\x1a\ud800-\udfff]")
_STORED = re.compile("\x1a([\U00100000\U0010001a\U0010d800-\U0010dfff])")


def store_text(text: str) -> str:
    """Return ``text`` as valid Unicode without NUL; `load_text` is the exact inverse."""
    return _NOT_STORABLE.sub(lambda found: _MARK + chr(_PRIVATE_PLANE + ord(found[0])), text)


def load_text(stored: str) -> str:
    """Return the text that `store_text` was given."""
    return _STORED.sub(lambda found: chr(ord(found[1]) - _PRIVATE_PLANE), stored)


def load_cut_text(beginning: str) -> str:
    """Return what the beginning of a stored text stands for, without a character that was cut in two."""
    return load_text(beginning.removesuffix(_MARK))


def pack_events(events: Sequence[Event]) -> bytes:
    """Return the stream as compressed JSON lines."""
    return zlib.compress("\n".join(map(encode, events)).encode("ascii"))


def unpack_events(packed: bytes) -> list[Event]:
    """Return the stream that `pack_events` was given.

    Raises:
        EventDecodeError: if the bytes are anything else.
    """
    try:
        lines = zlib.decompress(packed).split(b"\n")
    except zlib.error as error:
        raise EventDecodeError(f"not a stored stream: {error}") from error
    return [decode(line) for line in lines]
