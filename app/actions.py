"""Every action of the terminal interface, once: keys, key bar, palette, help and docs come from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding


class Where(StrEnum):
    """Where an action's key works."""

    EVERYWHERE = "Everywhere"
    PROBE = "Probe"
    EDITOR = "Prompt and response"
    LANES = "Lanes"
    HISTORY = "History"
    MODELS = "Models"
    EXPERIMENTS = "Experiments"
    RUNS = "List of runs"
    COMPARISON = "Comparison"
    CHOICE = "Choices"
    NOTE = "Note"
    TAGS = "Tags"
    EXPORT = "Export"
    DIALOG = "Help"


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. ``label`` is for the key bar (empty: not shown there), ``does`` for help.

    ``keys`` are Textual's names of equal keys, the first is the one shown. ``native``: the widget in
    focus handles the key itself, so nothing is bound.
    """

    name: str
    where: Where
    keys: tuple[str, ...]
    label: str
    does: str
    native: bool = False

    @property
    def key(self) -> str:
        """The key as people read it."""
        return readable(self.keys[0])

    @property
    def short_key(self) -> str:
        """The key in as few cells as will do, for the key bar."""
        return self.key.replace("ctrl+", "^")

    @property
    def all_keys(self) -> str:
        return " or ".join(readable(key) for key in self.keys)


_NAMES = {"question_mark": "?", "slash": "/", "escape": "esc", "pagedown": "page down", "pageup": "page up"}


def readable(key: str) -> str:
    """Return a key's name as people read it."""
    return "+".join(_NAMES.get(part, part) for part in key.split("+"))


_P, _E, _L, _H, _M = Where.PROBE, Where.EDITOR, Where.LANES, Where.HISTORY, Where.MODELS
_X, _C = Where.EXPERIMENTS, Where.COMPARISON
_DIALOGS = (Where.CHOICE, Where.NOTE, Where.TAGS, Where.EXPORT)

ACTIONS: tuple[Action, ...] = (
    Action("judge", _E, ("enter",), "Judge", "Judge the case; what still runs is stopped"),
    Action("newline", _E, ("ctrl+j", "shift+enter"), "", "Add a line to the text"),
    Action("stop", _P, ("escape",), "Stop", "Stop: the model itself stops writing"),
    Action("history", _P, ("ctrl+r",), "History", "Open the probes of the past"),
    Action("toggle_response", _P, ("ctrl+t",), "Response", "Show or hide the assistant's response"),
    Action("next_guard", _P, ("ctrl+g",), "Guard", "Change the guard: reasoner, or gauntlet"),
    Action("next_level", _P, ("ctrl+l",), "Level", "Change the level: low, medium, high"),
    Action("choose_model", _P, ("ctrl+o",), "Model", "Choose the gauntlet's model; see which answer"),
    Action("new_case", _P, ("ctrl+n",), "", "Clear both texts and begin anew"),
    Action("copy_verdict", _P, ("f2",), "Copy verdict", "Copy the verdict as JSON"),
    Action("copy_reasoning", _P, ("f3",), "Copy lane", "Copy the reasoning of the chosen lane"),
    Action("toggle_zoom", _P, ("f4",), "Zoom", "One lane in full, or all side by side"),
    Action("next_lane", _P, ("ctrl+down", "alt+down"), "", "Choose the next lane"),
    Action("previous_lane", _P, ("ctrl+up", "alt+up"), "", "Choose the lane before"),
    Action("choose_lane", _L, ("down", "up"), "", "In the table: choose a lane", native=True),
    Action("scroll_lane", _L, ("pagedown", "pageup"), "", "In a lane: read on, or back", native=True),
    Action("open_probe", _H, ("enter",), "Open", "Open the probe: texts, reasoning and verdict"),
    Action("move_history", _H, ("down", "up"), "", "Choose a probe", native=True),
    Action("toggle_blur", _H, ("ctrl+b",), "Show text", "Show or hide the prompts, blurred at first"),
    Action("use_model", _M, ("enter",), "Use", "Use the model chosen, or the one typed"),
    Action("move_models", _M, ("down", "up"), "", "Choose a model", native=True),
    Action("refresh_models", _M, ("f5",), "Look again", "Look again for models that can be reached"),
    Action("open_details", _X, ("enter",), "Open", "Show the run in full"),
    Action("go_back", _X, ("escape",), "Back", "Back to the list; clear the filter"),
    Action("mark_run", _X, ("space",), "Mark", "Mark the run, to compare or export it"),
    Action("compare_runs", _X, ("c",), "Compare", "Compare the two to six runs marked"),
    Action("filter_runs", _X, ("slash",), "Filter", "Filter the runs by words, kind, status, tag"),
    Action("sort_runs", _X, ("s",), "Sort", "Choose what the runs are sorted by"),
    Action("reverse_sort", _X, ("r",), "", "Sort the other way round"),
    Action("next_metric", _X, ("m",), "Metric", "Draw the next metric"),
    Action("previous_metric", _X, ("M",), "", "Draw the metric before"),
    Action("toggle_logarithmic", _X, ("l",), "", "Draw on a logarithmic scale, or not"),
    Action("zoom_curve", _X, ("z",), "Zoom", "Give the curve all the room, or take it back"),
    Action("show_lineage", _X, ("g",), "Lineage", "Go to a run it was made from, or made into"),
    Action("go_to_former", _X, ("backspace",), "", "Go back to the run one came from"),
    Action("edit_note", _X, ("n",), "Note", "Write the run's note"),
    Action("edit_tags", _X, ("t",), "Tags", "Change the run's tags"),
    Action("export_runs", _X, ("e",), "Export", "Export runs: CSV, JSON, Markdown or HTML"),
    Action("copy_id", _X, ("y",), "", "Copy the run's number"),
    Action("copy_run", _X, ("Y",), "", "Copy the run as JSON"),
    Action("unmark_runs", _X, ("u",), "", "Take all marks away"),
    Action("next_run", _X, ("ctrl+down", "alt+down"), "", "Choose the next run, from anywhere"),
    Action("previous_run", _X, ("ctrl+up", "alt+up"), "", "Choose the run before, from anywhere"),
    Action("move_runs", Where.RUNS, ("down", "up"), "", "Choose a run", native=True),
    Action("page_runs", Where.RUNS, ("pagedown", "pageup"), "", "A screen further, or back", native=True),
    Action("end_runs", Where.RUNS, ("home", "end"), "", "To the first run, or the last", native=True),
    Action("other_part", Where.RUNS, ("tab",), "", "Between the list and the details", native=True),
    Action("leave_comparison", _C, ("escape",), "Back", "Back to the list"),
    Action("next_metric", _C, ("m",), "Metric", "Draw the next metric"),
    Action("previous_metric", _C, ("M",), "", "Draw the metric before"),
    Action("toggle_logarithmic", _C, ("l",), "Scale", "Draw on a logarithmic scale, or not"),
    Action("zoom_curve", _C, ("z",), "Zoom", "Give the curves all the room, or take it back"),
    Action("export_runs", _C, ("e",), "Export", "Export the comparison"),
    Action("scroll_comparison", _C, ("pagedown", "pageup"), "", "Read on, or back", native=True),
    Action("choose", Where.CHOICE, ("enter",), "Choose", "Choose it"),
    Action("move_choice", Where.CHOICE, ("down", "up"), "", "Another one", native=True),
    Action("save_note", Where.NOTE, ("ctrl+s",), "Save", "Save the note"),
    Action("save_tags", Where.TAGS, ("enter",), "Save", "Save the tags"),
    Action("export", Where.EXPORT, ("enter",), "Export", "Write the file; asks before replacing one"),
    Action("next_selection", Where.EXPORT, ("ctrl+t",), "Runs", "Other runs: chosen, marked, all found"),
    Action("move_format", Where.EXPORT, ("down", "up"), "", "Another format", native=True),
    Action("close", _H, ("escape",), "Close", "Go back"),
    *(Action("close", where, ("escape",), "Close", "Go back") for where in _DIALOGS),
    Action("close", _M, ("escape",), "Close", "Go back"),
    Action("close", Where.DIALOG, ("escape",), "Close", "Go back"),
    Action("show_probe", Where.EVERYWHERE, ("alt+1", "1"), "", "Go to Probe (1 is text where one types)"),
    Action("show_experiments", Where.EVERYWHERE, ("alt+3", "3"), "", "Go to Experiments"),
    Action("next_pane", Where.EVERYWHERE, ("f9",), "Pane", "Go to the next pane"),
    Action("palette", Where.EVERYWHERE, ("ctrl+p",), "Commands", "Find any action by its name"),
    Action("help", Where.EVERYWHERE, ("f1", "question_mark"), "Help", "Show these keys"),
    Action("next_theme", Where.EVERYWHERE, ("f8",), "", "Next theme; the palette has them by name"),
    Action("quit", Where.EVERYWHERE, ("ctrl+q",), "Quit", "Leave; what runs is stopped"),
)


def bindings(where: Where) -> list[Binding]:
    """Return the Textual bindings of the actions of one place.

    Only leaving has priority: a key with priority overtakes the letters typed just before it.
    """
    return [
        Binding(
            ",".join(action.keys),
            f"app.act('{action.name}')",
            action.label or action.does,
            show=False,
            priority=action.name == "quit",
        )
        for action in ACTIONS
        if action.where is where and not action.native
    ]


def keys_of(where: Where) -> dict[str, str]:
    """Return the actions of a place by key, for a widget that takes keys in the order they were typed."""
    return {key: action.name for action in actions(where) for key in action.keys}


def actions(*places: Where) -> Iterator[Action]:
    """Yield the actions of these places, in the registry's order."""
    return (action for action in ACTIONS if action.where in places)


def keys_markdown() -> str:
    """Return docs/keys.md."""
    lines = ["# Keys", "", "Generated from `app/actions.py`; a test compares them.", ""]
    lines += [
        "The command palette (`ctrl+p`) has every action by name, and says why one cannot be used now.",
        "",
    ]
    for where in Where:
        rows = [action for action in ACTIONS if action.where is where]
        lines += [f"## {where}", "", "| Key | What it does |", "| --- | --- |"]
        lines += [f"| {action.all_keys} | {action.does} |" for action in rows]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(keys_markdown(), end="")
