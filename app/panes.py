"""The panes there are, in the order of their tabs. A pane's module is loaded when it is first shown."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen


@dataclass(frozen=True, slots=True)
class Pane:
    """``name`` is its mode and makes its action, ``show_NAME``. ``screen`` is its class in ``module``."""

    name: str
    title: str
    digit: int
    module: str
    screen: str

    def load(self) -> Screen[None]:
        """Return a new screen of it."""
        made: Screen[None] = getattr(import_module(self.module), self.screen)()
        return made


PANES: tuple[Pane, ...] = (
    Pane("probe", "Probe", 1, "app.screens.probe", "ProbeScreen"),
    Pane("policies", "Policies", 2, "app.screens.policies", "PoliciesScreen"),
    Pane("jobs", "Jobs", 3, "app.screens.jobs", "JobsScreen"),
    Pane("experiments", "Experiments", 4, "app.screens.experiments", "ExperimentsScreen"),
)
"""A new pane is added here, with its action in `app.actions` and its ``do_show_NAME`` in the application."""


def load_panes() -> None:
    """Load the code of all panes, so that the first showing of one does not wait for it. Any thread may."""
    for pane in PANES:
        import_module(pane.module)
