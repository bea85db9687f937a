"""How much room is left on the disks that the database and the runs are on. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

FULL_BYTES = 256 << 10
"""With less than this left a disk is full: a transaction may not fit any more."""

LOW_BYTES = 100 << 20
_LOW_SHARE = 0.05


def disk_warning(db: Path, runs: Path) -> str | None:
    """Return a sentence or two for a banner where a disk has no room left, or little; else None.

    Little is less than 100 MiB, on small disks less than 5 %. Costs a system call or two a path.
    """
    told = []
    for what, where in _by_disk({"the database": db.parent, "the runs": runs}):
        free, size = _free_and_size(where)
        if free < min(FULL_BYTES, size):
            told.append(
                f"The disk of {what} is full ({_shown(free)} left): nothing new is saved. Jobs go on, and "
                f"what they tell waits. Make room on the disk of {where}; all else goes on by itself."
            )
        elif free < min(LOW_BYTES, size * _LOW_SHARE):
            told.append(f"The disk of {what} is nearly full: {_shown(free)} left ({where}).")
    return " ".join(told) or None


def is_full(path: Path) -> bool:
    """Whether no room is left where ``path`` is, or would be."""
    free, size = _free_and_size(path)
    return free < min(FULL_BYTES, size)


def _by_disk(places: dict[str, Path]) -> Iterable[tuple[str, Path]]:
    """Yield each disk once: the names of what is on it, and the first place on it."""
    disks: dict[int, tuple[str, Path]] = {}
    for name, place in places.items():
        nearest = _nearest(place)
        try:
            disk = nearest.stat().st_dev
        except OSError:
            continue
        names, first = disks.get(disk, ("", nearest))
        disks[disk] = (f"{names} and {name}" if names else name, first)
    return disks.values()


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if place.exists()), path)


def _free_and_size(path: Path) -> tuple[int, int]:
    """Return how many bytes can be written, and how many the disk has; 0 of 0 where that is not known."""
    try:
        disk = os.statvfs(_nearest(path))
    except OSError:
        return 0, 0
    no_more_files = disk.f_files > 0 and disk.f_favail == 0
    return (0 if no_more_files else disk.f_bavail * disk.f_frsize), disk.f_blocks * disk.f_frsize


def _shown(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 10_000_000 else f"{count / 1e3:,.0f} kB"
