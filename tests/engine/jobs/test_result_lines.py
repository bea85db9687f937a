"""Lines of results: what is read of them, whatever texts they hold."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from engine.jobs.result_lines import ResultLines, decode_lines


class _Line(msgspec.Struct):
    case: str
    prompt: str = ""


def line(text: str) -> bytes:
    return json.dumps({"case": "k", "prompt": text, "output": text}).encode("ascii") + b"\n"


@pytest.mark.parametrize("text", ["bread", "\ud800", "a\udfffb", "\x00\x1b]52;c;\x07", "\u2028"])
def test_any_text_is_read_as_it_was_kept(text: str) -> None:
    lines = memoryview(line("first") + line(text))
    assert decode_lines(lines, _Line) == [_Line("k", "first"), _Line("k", text)]


@pytest.mark.parametrize("other", [b"{", b"[]", b'{"case": 1}', b'{"prompt": "a"}', b"\xff", b"[" * 100_000])
def test_what_is_no_line_of_the_form_costs_no_other(other: bytes) -> None:
    lines = memoryview(line("first") + other + b"\n" + line("last"))
    assert [found.prompt for found in decode_lines(lines, _Line)] == ["first", "last"]


@pytest.mark.parametrize("torn", [b'{"guard":"rules","mo', b"\n", b"[]\n", b"[" * 100_000])
async def test_a_first_line_that_was_torn_costs_later_attempts_nothing(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(torn)
    for attempt in range(3):
        lines = ResultLines(path, {"guard": "rules", "model": None})
        assert [found.prompt for found in decode_lines(lines.earlier, _Line)] == ["a", "b"][:attempt]
        await lines.keep({"case": "k", "prompt": "abc"[attempt]})
        lines.close()
