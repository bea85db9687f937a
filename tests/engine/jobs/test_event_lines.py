"""Reading event files: what they say does not depend on how they are read, and nothing in them does harm."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Event, Finished, Log
from engine.jobs import event_lines
from engine.jobs.event_file import GREATEST_INT, LONGEST_LINE
from engine.jobs.event_lines import BLOCK, Place, Point, read_on


@dataclass
class Reader:
    """Reads a file from place to place, and keeps what the tracker would keep."""

    path: Path
    place: Place = field(default_factory=Place)
    read: list[Point | Event] = field(default_factory=list)

    def go_on(self, *, ended: bool = False) -> None:
        while part := read_on(self.path, self.place, ended=ended):
            if part.anew:
                self.read.clear()
            self.read += sorted([*part.points, *part.events], key=lambda event: event.seq)
            assert part.place != self.place
            self.place = part.place
            if not part.more:
                break

    @property
    def told(self) -> tuple[list[int], int]:
        """The numbers of the events, and how many lines were skipped."""
        return [event.seq for event in self.read], self.place.skipped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def reading(path: Path, content: bytes, *, ended: bool = False) -> Reader:
    path.write_bytes(content)
    reader = Reader(path)
    reader.go_on(ended=ended)
    return reader


def point(seq: int | None = None, **fields: object) -> bytes:
    number = {} if seq is None else {"seq": seq}
    return json.dumps(
        {"event": "metric", **number, "name": "loss", "value": 0.5, "step": 3} | fields
    ).encode()


def log(seq: int | None = None, message: str = "m") -> bytes:
    number = {} if seq is None else {"seq": seq}
    return json.dumps({"event": "log", **number, "message": message}).encode()


def long_line(seq: int, length: int) -> bytes:
    """Return an event of exactly ``length`` bytes."""
    line = log(seq, "")
    return log(seq, "x" * (length - len(line)))


# --- one line ----------------------------------------------------------------------------------------

NO_EVENTS = {
    "NUL bytes": b"\0" * 5000,
    "an event after NUL bytes": b"\0\0" + point(),
    "invalid UTF-8": b'{"event":"log","message":"\xff\xfe"}',
    "an encoded surrogate": b'{"event":"log","message":"\xed\xa0\x80"}',
    "UTF-16": point().decode().encode("utf-16-le"),
    "a byte order mark": b"\xef\xbb\xbf" + point(),
    "no JSON": b"Traceback (most recent call last):",
    "a torn line": point()[:-3],
    "two events": point() + point(),
    "null": b"null",
    "a number": b"3",
    "a text": b'"metric"',
    "a list": b"[" + point() + b"]",
    "an empty object": b"{}",
    "no known event": b'{"event":"no such"}',
    "a kind that is no text": b'{"event":["log"]}',
    "a guard's event": b'{"event":"notice","seq":1,"message":"m"}',
    "another field": point(more=1),
    "a field too few": b'{"event":"metric","name":"loss","value":1}',
    "a text for a number": point(value="1"),
    "a truth for a number": point(step=True),
    "a fraction for a step": point(step=1.5),
    "null for a value": point(value=None),
    "null for a number": b'{"event":"log","seq":null,"message":"m"}',
    "a number below 0": b'{"event":"log","seq":-1,"message":"m"}',
    "a number beyond the database": log(GREATEST_INT + 1),
    "a point's number beyond the database": point(GREATEST_INT + 1),
    "a step beyond the database": point(step=GREATEST_INT + 1),
    "a step far beyond it": point(step=10**3000),
    "a number that Python will not read": b'{"event":"metric","name":"loss","step":1,"value":'
    + b"9" * 5000
    + b"}",
    "a value no float can hold": point(value=10**400),
    "a time no float can hold": b'{"event":"log","message":"m","at_ms":' + b"9" * 400 + b"}",
    "progress beyond the database": json.dumps({"event": "progress", "done": 10**30}).encode(),
    "progress below nothing": b'{"event":"progress","done":-1}',
    "a time that is no number": b'{"event":"log","message":"m","at_ms":NaN}',
    "a point's time that is no number": point(at_ms=math.nan),
    "a time without end": b'{"event":"heartbeat","at_ms":Infinity}',
    "a very long name": point(name="x" * 201),
    "deep nesting": b"[" * 100_000,
    "a deeply nested object": b'{"event":' * 50_000,
    "a deep summary": b'{"event":"finished","summary":{"a":' + b"[" * 33 + b"]" * 33 + b"}}",
    "an unknown status": b'{"event":"failed","message":"m","status":"no such"}',
    "a run as its input": b'{"event":"input","role":"run","name":"run 1"}',
}


@pytest.mark.parametrize("line", NO_EVENTS.values(), ids=NO_EVENTS.keys())
def test_a_line_that_is_no_event_is_counted_and_its_neighbours_are_kept(path: Path, line: bytes) -> None:
    before, after = b"\n".join((log(0), point(1))), b"\n".join((point(2), log(3)))
    reader = reading(path, b"\n".join((before, line, line, after, b"")))
    assert reader.told == ([0, 1, 2, 3], 2)


EVENTS = {
    "not a number": (point(value=math.nan), "value", pytest.approx(math.nan, nan_ok=True)),
    "infinite": (point(value=-math.inf), "value", -math.inf),
    "too great for a float": (b'{"event":"metric","name":"l","value":1e999,"step":1}', "value", math.inf),
    "a whole value": (point(value=2), "value", 2.0),
    "a step below 0": (point(step=-GREATEST_INT - 1), "step", -GREATEST_INT - 1),
    "a lone surrogate": (point(name="\ud800"), "name", "\ud800"),
    "NUL in a name": (point(name="a\0b"), "name", "a\0b"),
    "a carriage return": (point(step=7) + b"\r", "step", 7),
    "another order": (b'{"step":9,"value":1,"name":"l","event":"metric"}', "step", 9),
    "a surrogate in a message": (log(message="\ud800\0"), "message", "\ud800\0"),
    "UTF-8": ('{"event":"log","message":"Grüße 🧙"}'.encode(), "message", "Grüße 🧙"),
    "a summary as deep as may be": (
        b'{"event":"finished","summary":{"a":' + b"[" * 31 + b"]" * 31 + b"}}",
        "at_ms",
        0.0,
    ),
}


@pytest.mark.parametrize(("line", "name", "value"), EVENTS.values(), ids=EVENTS.keys())
def test_unusual_events_are_events(path: Path, line: bytes, name: str, value: object) -> None:
    (event,) = reading(path, line + b"\n").read
    assert getattr(event, name) == value


def test_blank_lines_are_not_counted(path: Path) -> None:
    assert reading(path, b"\n\r\n \n" + point() + b"\n\n").told == ([0], 0)


# --- numbers -----------------------------------------------------------------------------------------


def test_numbers_that_do_not_increase_are_skipped(path: Path) -> None:
    lines = [point(0), log(5), point(5), log(5), point(2), log(4), point(6)]
    assert reading(path, b"\n".join(lines) + b"\n").told == ([0, 5, 6], 4)


def test_events_without_a_number_count_up(path: Path) -> None:
    lines = [log(), point(), b"no event", point(10), log(), point(), point(11)]
    assert reading(path, b"\n".join(lines) + b"\n").told == ([0, 1, 10, 11, 12], 2)


def test_nothing_counts_beyond_the_last_number(path: Path) -> None:
    lines = [log(GREATEST_INT), log(), point(), point(3)]
    assert reading(path, b"\n".join(lines) + b"\n").told == ([GREATEST_INT], 3)


# --- the end of the file -----------------------------------------------------------------------------


@pytest.mark.parametrize("line", [point(1), log(1)], ids=["point", "log"])
def test_a_torn_line_waits_for_its_end(path: Path, line: bytes) -> None:
    reader = reading(path, log(0) + b"\n")
    for cut in range(len(line)):
        path.write_bytes(log(0) + b"\n" + line[:cut])
        reader.go_on()
        assert reader.told == ([0], 0)
    path.write_bytes(log(0) + b"\n" + line)
    reader.go_on()
    assert reader.told == ([0], 0)  # whole as it is, more of it might follow
    path.write_bytes(log(0) + b"\n" + line + b"\n")
    reader.go_on()
    assert reader.told == ([0, 1], 0)


def test_at_the_end_a_torn_line_is_skipped_once(path: Path) -> None:
    reader = reading(path, log(0) + b"\n" + point(1)[:20], ended=True)
    reader.go_on(ended=True)
    assert reader.told == ([0], 1)
    # The next attempt closes it off; another that does not would write into the torn line.
    with path.open("ab") as file:
        file.write(b"\n" + point(1) + b"\n")
    reader.go_on()
    assert reader.told == ([0, 1], 1) == reading(path, path.read_bytes()).told


def test_what_is_written_into_a_torn_line_is_part_of_it(path: Path) -> None:
    reader = reading(path, point(0)[:20], ended=True)
    with path.open("ab") as file:
        file.write(point(1) + b"\n" + point(2) + b"\n")
    reader.go_on()
    assert reader.told == ([2], 1) == reading(path, path.read_bytes()).told


def test_at_the_end_a_whole_line_needs_no_newline(path: Path) -> None:
    assert reading(path, log(0) + b"\n" + point(1), ended=True).told == ([0, 1], 0)


@pytest.mark.timeout(20)
def test_what_is_no_file_says_nothing(path: Path) -> None:
    assert read_on(path, Place()) is None
    os.mkfifo(path)
    assert read_on(path, Place()) is None
    path.unlink()
    path.mkdir()
    assert read_on(path, Place()) is None


# --- blocks and long lines ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1])
@pytest.mark.parametrize("before", [0, BLOCK - LONGEST_LINE, BLOCK - 100, BLOCK - 1])
def test_a_line_is_too_long_wherever_it_begins(path: Path, length: int, before: int) -> None:
    first = b" " * (before - 1) + b"\n" if before else b""
    reader = reading(path, first + long_line(0, length) + b"\n" + log(1) + b"\n")
    blank_but_too_long = len(first) > LONGEST_LINE
    whole = length <= LONGEST_LINE
    assert reader.told == ([0, 1] if whole else [1], blank_but_too_long + (not whole))


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 10_000_000])
@pytest.mark.parametrize("ended", [False, True])
def test_a_discarded_line_may_end_anywhere(path: Path, length: int, ended: bool) -> None:
    content = b"x" * length + b"\n" + log(0) + b"\n" + b"y" * length + b"\n" + point(1) + b"\n"
    assert reading(path, content, ended=ended).told == ([0, 1], 2)


def test_a_long_line_may_grow_while_it_is_read(path: Path) -> None:
    reader = reading(path, log(0) + b"\n")
    for _ in range(12):
        with path.open("ab") as file:
            file.write(b"x" * 900_000)
        reader.go_on()
    with path.open("ab") as file:
        file.write(b"\n" + log(1) + b"\n")
    reader.go_on()
    assert reader.told == ([0, 1], 1)


def test_lines_are_cut_at_no_block(path: Path) -> None:
    lines = [point(seq, name=f"{seq % 7}") for seq in range(120_000)]
    content = b"\n".join(lines) + b"\n"
    assert len(content) > 2 * BLOCK
    assert reading(path, content).told == (list(range(120_000)), 0)


# --- any content, read in any pieces, and files that are replaced ------------------------------------

explicit = st.builds(lambda seq, make: (make(seq), seq), st.integers(0, 40), st.sampled_from([point, log]))
counted = st.sampled_from([(point(), -1), (log(), -1), (point(value=math.nan), -1)])
bad = st.sampled_from(
    [
        (line, None)
        for line in (b"x", b"\0", b"{}", b"\xff", b"x" * 161, b" " * 161, b"x" * 700, long_line(7, 161))
    ]
)
LINES = st.lists(explicit | counted | bad, max_size=30)


def meaning(lines: list[tuple[bytes, int | None]]) -> tuple[list[int], int]:
    """Return what lines say, by what is known of each: its number, -1 to be counted, None for no event."""
    numbers = [-1]
    skipped = 0
    for _, number in lines:
        if number == -1:
            numbers.append(numbers[-1] + 1)
        elif number is not None and number > numbers[-1]:
            numbers.append(number)
        else:
            skipped += 1
    return numbers[1:], skipped


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lines, "LONGEST_LINE", 160)
    monkeypatch.setattr(event_lines, "BLOCK", 256)


@pytest.mark.usefixtures("small_blocks")
def test_what_a_file_says_does_not_depend_on_the_pieces_it_is_read_in() -> None:
    @settings(max_examples=200, deadline=None)
    @given(LINES, st.lists(st.floats(0, 1), max_size=12))
    def holds(lines: list[tuple[bytes, int | None]], cuts: list[float]) -> None:
        content = b"".join(line + b"\n" for line, _ in lines)
        with tempfile.TemporaryDirectory() as folder:
            reader = Reader(Path(folder) / "events.jsonl")
            for cut in sorted(cuts):
                reader.path.write_bytes(content[: int(cut * len(content))])
                reader.go_on()
            reader.path.write_bytes(content)
            reader.go_on(ended=True)
            assert reader.told == meaning(lines)
            assert reading(reader.path, content).told == meaning(lines)

    holds()


@pytest.mark.usefixtures("small_blocks")
def test_a_replaced_file_replaces_what_was_read() -> None:
    contents = st.lists(st.tuples(LINES, st.booleans()), max_size=5)

    @settings(max_examples=200, deadline=None)
    @given(contents)
    def holds(contents: list[tuple[list[tuple[bytes, int | None]], bool]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            reader = Reader(Path(folder) / "events.jsonl")
            for lines, looked_at in contents:
                # Each file begins with an event 0: it is the beginning of a stream.
                whole = [(log(0), 0), *lines]
                reader.path.write_bytes(b"".join(line + b"\n" for line, _ in whole))
                if looked_at:
                    reader.go_on()
                    assert reader.told == meaning(whole)

    holds()


def test_a_replaced_file_is_noticed_whatever_its_size(path: Path) -> None:
    reader = reading(path, log(0, "abc") + b"\n" + point(1) + b"\n")
    path.write_bytes(log(0, "xyz") + b"\n" + point(1) + b"\n")
    reader.go_on()
    (first, second) = reader.read
    assert isinstance(first, Log)
    assert (first.message, second.seq) == ("xyz", 1)


def test_a_file_without_numbers_that_is_written_anew_is_not_counted_twice(path: Path) -> None:
    reader = Reader(path)
    for epoch in range(1, 5):
        path.write_bytes(b"".join(point(step=step, value=epoch) + b"\n" for step in range(epoch * 10)))
        reader.go_on()
        reader.go_on()
        assert reader.told == (list(range(epoch * 10)), 0)
        assert {event.value for event in reader.read if isinstance(event, Point)} == {epoch}


def test_an_emptied_file_takes_nothing_away(path: Path) -> None:
    reader = reading(path, log(0) + b"\n" + point(1) + b"\n")
    path.write_bytes(b"")
    reader.go_on(ended=True)
    assert reader.told == ([0, 1], 0)
    path.unlink()
    reader.go_on(ended=True)
    assert reader.told == ([0, 1], 0)


def test_what_was_cut_off_at_the_beginning_is_kept(path: Path) -> None:
    reader = reading(path, b"no event\n" + log(0) + b"\n" + point(1) + b"\n")
    path.write_bytes(b"")
    reader.go_on()
    path.write_bytes(point(2) + b"\nno event\n" + log() + b"\n")
    reader.go_on()
    assert reader.told == ([0, 1, 2, 3], 2)


def test_a_deep_summary_that_is_read_can_be_written(path: Path) -> None:
    (event,) = reading(path, EVENTS["a summary as deep as may be"][0] + b"\n").read
    assert isinstance(event, Finished)
    assert json.loads(json.dumps(event.summary)) == event.summary
