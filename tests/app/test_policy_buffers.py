"""Texts that are open while their files change: nothing typed is given up unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.policy_buffers import Buffer, Buffers, Found
from engine.policies.files import ChangedOnDisk

FILE = "glass/policy.md"


@pytest.fixture
def buffers(tmp_path: Path) -> Buffers:
    (tmp_path / "glass").mkdir()
    (tmp_path / FILE).write_text("one")
    return Buffers(tmp_path)


def look(buffer: Buffer) -> Found:
    peeked = buffer.peek()
    return Found.SAME if peeked is None else buffer.settle(peeked)


def test_what_is_typed_is_dirty_until_it_is_saved(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    assert (buffer.text, buffer.dirty, buffer.policy) == ("one", False, "glass")
    buffer.text = "two"
    assert buffers.texts() == {FILE: "two"}
    written = buffer.write("two")
    buffer.text = "two and more"
    buffer.saved(written)
    assert buffer.dirty
    assert buffer.path.read_text() == "two"
    buffer.text = "two"
    assert not buffer.dirty
    assert look(buffer) is Found.SAME


def test_a_change_on_disk_is_taken_over_where_nothing_was_typed(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.path.write_text("theirs")
    assert look(buffer) is Found.TAKE_OVER
    assert (buffer.text, buffer.dirty) == ("theirs", False)
    assert look(buffer) is Found.SAME


def test_a_change_on_disk_beside_one_typed_is_a_conflict(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.text = "mine"
    buffer.path.write_text("theirs")
    assert look(buffer) is Found.CONFLICT
    assert buffer.text == "mine"
    with pytest.raises(ChangedOnDisk):
        buffer.write("mine")
    assert look(buffer) is Found.SAME  # told once
    buffer.keep_mine()
    buffer.saved(buffer.write("mine"))
    assert buffer.path.read_text() == "mine"


def test_theirs_can_be_taken(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.text = "mine"
    buffer.path.write_text("theirs")
    look(buffer)
    buffer.take_theirs()
    assert (buffer.text, buffer.dirty, buffer.theirs) == ("theirs", False, None)


def test_the_same_change_on_both_sides_is_none(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.text = "both"
    buffer.path.write_text("both")
    assert look(buffer) is Found.SAME
    assert not buffer.dirty


def test_a_file_that_goes_leaves_the_text(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.path.unlink()
    assert look(buffer) is Found.GONE
    assert (buffer.text, buffer.dirty) == ("one", True)
    assert look(buffer) is Found.SAME  # told once
    with pytest.raises(ChangedOnDisk):
        buffer.write("one")
    buffer.keep_mine()
    buffer.saved(buffer.write("one"))
    assert buffer.path.read_text() == "one"
    assert not buffer.dirty


def test_what_cannot_be_read_is_told_and_back_once_it_can(buffers: Buffers) -> None:
    path = buffers.open(FILE).path
    path.write_bytes(b"\xff")
    buffer = Buffers(path.parent.parent).open(FILE)
    assert "not UTF-8" in buffer.fault
    assert not buffer.dirty
    path.write_text("well")
    assert look(buffer) is Found.TAKE_OVER
    assert (buffer.text, buffer.fault) == ("well", "")


def test_a_file_that_becomes_unreadable_does_not_take_what_was_typed(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    buffer.text = "mine"
    buffer.path.write_bytes(b"\xff")
    assert look(buffer) is Found.SAME
    assert (buffer.text, buffer.fault) == ("mine", "")


def test_a_change_that_keeps_size_and_time_but_not_the_file_is_seen(buffers: Buffers) -> None:
    buffer = buffers.open(FILE)
    status = buffer.path.stat()
    other = buffer.path.with_name("other")
    other.write_text("eno")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(buffer.path)
    assert look(buffer) is Found.TAKE_OVER
    assert buffer.text == "eno"
