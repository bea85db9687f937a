"""The panes there are, in the order of their tabs. A pane's module is loaded when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen


@dataclass(frozen=True, slots=True)
class Pane:
    """``name`` is its mode and makes its action, ``show_NAME``; ``digit`` is its key; ``load`` makes it."""

    name: str
    title: str
    digit: int
    load: Callable[[], Screen[None]]


def _probe() -> Screen[None]:
    from app.screens.probe import ProbeScreen

    return ProbeScreen()


def _jobs() -> Screen[None]:
    from app.screens.jobs import JobsScreen

    return JobsScreen()


def _experiments() -> Screen[None]:
    from app.screens.experiments import ExperimentsScreen

    return ExperimentsScreen()


PANES: tuple[Pane, ...] = (
    Pane("probe", "Probe", 1, _probe),
    Pane("jobs", "Jobs", 2, _jobs),
    Pane("experiments", "Experiments", 3, _experiments),
)
"""A new pane is added here, with its action in `app.actions` and its ``do_show_NAME`` in the application."""
