"""What crosses the tracker's API of policies: plain frozen records. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.cases import Finding


class VersionOrigin(StrEnum):
    """How a version came to be known: saved here, found in the file, or brought back from an older one."""

    SAVED = "saved"
    FOUND = "found"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class PolicyFileVersion:
    """A text that a file of the policies' folder had.

    ``file`` is its path there, ``number`` counts its versions from 1. ``created_at`` is when it was
    recorded, in UTC.
    """

    file: str
    number: int
    sha256: str
    origin: VersionOrigin
    created_at: datetime

    @property
    def label(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Uses:
    """Who has judged by a text: the newest probes and runs, by their numbers, and how many there are."""

    probes: int
    runs: int
    newest_probes: tuple[int, ...] = ()
    newest_runs: tuple[int, ...] = ()


Trials = dict[str, Finding]
"""What cases were found to be, by their keys."""
