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
    TREE = "Tasks and steps"
    HISTORY = "History"
    MODELS = "Models"
    POLICIES = "Policies"
    POLICY_PARTS = "Policies and cases, where one does not type"
    FIND = "Find and replace"
    VERSIONS = "Versions"
    EXPERIMENTS = "Experiments"
    RUNS = "List of runs"
    COMPARISON = "Comparison"
    LEADERBOARD = "Leaderboard"
    MATRIX = "Matrix"
    JOBS = "Jobs"
    JOB_PARTS = "Queue and log"
    NEW_JOB = "New job"
    GROUPS = "Groups of jobs"
    CONFIRM = "Questions"
    CHOICE = "Choices"
    NOTE = "Note"
    TAGS = "Tags"
    EXPORT = "Export"
    CASE = "Case"
    CASE_IMPORT = "Cases to take over"
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


_NAMES = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "equals_sign": "=", "escape": "esc",
    "pagedown": "page down", "pageup": "page up",
}  # fmt: skip


def readable(key: str) -> str:
    """Return a key's name as people read it."""
    return "+".join(_NAMES.get(part, part) for part in key.split("+"))


_P, _E, _L, _H, _M = Where.PROBE, Where.EDITOR, Where.LANES, Where.HISTORY, Where.MODELS
_T = Where.TREE
_X, _C, _B, _MX = Where.EXPERIMENTS, Where.COMPARISON, Where.LEADERBOARD, Where.MATRIX
_W, _K, _V = Where.POLICIES, Where.POLICY_PARTS, Where.VERSIONS
_I = Where.CASE_IMPORT
_J, _Q, _N, _G = Where.JOBS, Where.JOB_PARTS, Where.NEW_JOB, Where.GROUPS
_DIALOGS = (Where.CHOICE, Where.NOTE, Where.TAGS, Where.EXPORT, Where.CONFIRM, _N, _G)

ACTIONS: tuple[Action, ...] = (
    Action("judge", _E, ("enter",), "Judge", "Judge the case; what still runs is stopped"),
    Action("newline", _E, ("ctrl+j", "shift+enter"), "", "Add a line to the text"),
    Action("stop", _P, ("escape",), "Stop", "Stop: the model itself stops writing"),
    Action("history", _P, ("ctrl+r",), "History", "Open the probes of the past"),
    Action("toggle_response", _P, ("ctrl+t",), "Response", "Show or hide the assistant's response"),
    Action("next_guard", _P, ("ctrl+g",), "Guard", "Reasoner, gauntlet, or GuardReasoner"),
    Action("next_level", _P, ("ctrl+l",), "Level", "The level; of GuardReasoner: the prompt style"),
    Action("choose_model", _P, ("ctrl+o",), "Model", "Choose the guard's model; see which answer"),
    Action("keep_case", _P, ("ctrl+s",), "Keep", "Keep the case as a test case of a policy"),
    Action("new_case", _P, ("ctrl+n",), "", "Clear both texts and begin anew"),
    Action("copy_verdict", _P, ("f2",), "Copy verdict", "Copy the verdict as JSON"),
    Action("copy_reasoning", _P, ("f3",), "Copy text", "Copy the lane, the task, or the raw output"),
    Action("toggle_raw", _P, ("f5",), "Raw", "Exactly what the model wrote, or the tree"),
    Action("toggle_zoom", _P, ("f4",), "Zoom", "One lane in full, or all side by side"),
    Action("next_lane", _P, ("ctrl+down", "alt+down"), "", "Choose the next lane, or task"),
    Action("previous_lane", _P, ("ctrl+up", "alt+up"), "", "Choose the lane before, or task"),
    Action("choose_lane", _L, ("down", "up"), "", "In the table: choose a lane", native=True),
    Action("scroll_lane", _L, ("pagedown", "pageup"), "", "In a lane: read on, or back", native=True),
    Action("fold", _T, ("z",), "Fold", "Close all steps, or open them"),
    Action("move_tree", _T, ("down", "up"), "", "Choose a step; read a long one on", native=True),
    Action("open_step", _T, ("right", "left"), "", "Open it, or close it; to its task", native=True),
    Action("toggle_step", _T, ("enter", "space"), "", "Open or close it", native=True),
    Action("page_tree", _T, ("pagedown", "pageup"), "", "A screen further, or back", native=True),
    Action("end_tree", _T, ("end", "home"), "", "Follow the end; or to the beginning", native=True),
    Action("open_probe", _H, ("enter",), "Open", "Open the probe: texts, reasoning and verdict"),
    Action("move_history", _H, ("down", "up"), "", "Choose a probe", native=True),
    Action("toggle_blur", _H, ("ctrl+b",), "Show text", "Show or hide the prompts, blurred at first"),
    Action("use_model", _M, ("enter",), "Use", "Use the model chosen, or the one typed"),
    Action("move_models", _M, ("down", "up"), "", "Choose a model", native=True),
    Action("refresh_models", _M, ("f5",), "Look again", "Look again for models that can be reached"),
    Action("run_cases", _W, ("f5",), "Run", "Judge the cases that are not known yet"),
    Action("save_text", _W, ("ctrl+s",), "Save", "Save the text; ask if others changed it too"),
    Action("leave", _W, ("escape",), "Back", "Stop what runs; close what is open; go back"),
    Action("mend_finding", _W, ("f2",), "Mend", "Mend the finding here, or the one chosen"),
    Action("next_finding", _W, ("f3",), "Finding", "Go to the next thing wrong with the text"),
    Action("toggle_file", _W, ("ctrl+t",), "Signals", "The policy's text, or the signals of its rules"),
    Action("next_guard", _W, ("ctrl+g",), "Guard", "Reasoner, gauntlet, or GuardReasoner"),
    Action("next_level", _W, ("ctrl+l",), "", "The level; of GuardReasoner: the prompt style"),
    Action("next_speed", _W, ("alt+l",), "", "The gauntlet's: full answers, or one token"),
    Action("choose_model", _W, ("ctrl+o",), "Model", "Choose the guard's model; see which answer"),
    Action("choose_base", _W, ("ctrl+d",), "Against", "Choose the version to show flips against"),
    Action("show_versions", _W, ("ctrl+r",), "Versions", "All versions: compare, restore, bisect"),
    Action("find", _W, ("ctrl+f",), "Find", "Find words in the text"),
    Action("replace", _W, ("alt+r",), "", "Find words and replace them"),
    Action("go_to_section", _W, ("f7",), "Go to", "Go to a section, a rule or a signal"),
    Action("edit_outside", _W, ("ctrl+e",), "", "Edit the text in $VISUAL or $EDITOR"),
    Action("run_afresh", _W, ("shift+f5",), "", "Judge all cases anew"),
    Action("run_to_failure", _W, ("alt+f5",), "", "Judge until a first case fails"),
    Action("toggle_watch", _W, ("alt+w",), "", "Judge whenever a text is saved, or not"),
    Action("next_view", _W, ("f6",), "View", "Findings, cases, or the case chosen"),
    Action("zoom_part", _W, ("f4",), "Zoom", "Give this part all the room, or take it back"),
    Action("next_case", _W, ("ctrl+down", "alt+down"), "", "Choose the next case, from anywhere"),
    Action("previous_case", _W, ("ctrl+up", "alt+up"), "", "Choose the case before, from anywhere"),
    Action("toggle_blur", _W, ("ctrl+b",), "Show text", "Show or hide texts, blurred at first"),
    Action("new_case", _K, ("n",), "New case", "Add a case"),
    Action("edit_case", _K, ("e",), "Edit", "Change the case chosen"),
    Action("delete_case", _K, ("delete",), "", "Delete the case chosen"),
    Action("import_cases", _K, ("i",), "Import", "Import: from probes, a run's errors, a file"),
    Action("filter_cases", _K, ("slash",), "Filter", "Filter: fail, flip, v2, lang:de, or words"),
    Action("show_findings", _K, ("w",), "", "See what is wrong with the text"),
    Action("show_cases", _K, ("c",), "", "See the cases"),
    Action("show_case", _K, ("d",), "", "See the case chosen in full"),
    Action("move_rows", _K, ("down", "up"), "", "Another row", native=True),
    Action("open_row", _K, ("enter",), "", "Open the text, the line, or the case", native=True),
    Action("next_part", _K, ("tab", "shift+tab"), "", "From part to part", native=True),
    Action("find_next", Where.FIND, ("enter", "down"), "", "The next match; f3 is for findings", native=True),
    Action("find_previous", Where.FIND, ("up",), "", "The match before", native=True),
    Action("replace_all", Where.FIND, ("alt+a",), "", "Replace all of them, as one change", native=True),
    Action("toggle_case", Where.FIND, ("alt+c",), "", "Tell capitals from small letters", native=True),
    Action("toggle_words", Where.FIND, ("alt+w",), "", "Whole words only", native=True),
    Action("toggle_regex", Where.FIND, ("alt+r",), "", "A regular expression", native=True),
    Action("close_find", Where.FIND, ("escape",), "", "Close the bar", native=True),
    Action("restore_version", _V, ("r",), "Restore", "Take the version's text into the editor"),
    Action("mark_version", _V, ("space",), "Mark", "Compare others with this one, or no more"),
    Action("toggle_sides", _V, ("s",), "Sides", "Side by side, or one below the other"),
    Action("toggle_folds", _V, ("z",), "", "Show what is the same too, or fold it"),
    Action("next_change", _V, ("n",), "Next", "Go to the next change"),
    Action("previous_change", _V, ("N",), "", "Go to the change before"),
    Action("bisect", _V, ("b",), "Bisect", "Find the version at which the case flipped"),
    Action("compare_by_version", _V, ("a",), "Against", "Have flips shown against this version"),
    Action("toggle_file", _V, ("t",), "File", "Versions of the text, or of the signals"),
    Action("go_back", _V, ("escape",), "Back", "Stop a bisection; back to the policies"),
    Action("move_rows", _V, ("down", "up"), "", "Another version", native=True),
    Action("new_job", _J, ("n",), "New", "Queue a new job"),
    Action("back", _J, ("escape",), "Back", "Back to the queue; clear the filter"),
    Action("toggle_pause", _J, ("p",), "Pause", "Pause the job where it is, or let it go on"),
    Action("cancel_job", _J, ("x",), "Cancel", "Cancel the job, with its checkpoint or without"),
    Action("retry_job", _J, ("r",), "Retry", "Queue the job again, in its place"),
    Action("follow_log", _J, ("f",), "Follow", "Follow the log's end, or stay where one reads"),
    Action("show_log", _J, ("l", "enter"), "Log", "Read what the job has printed"),
    Action("show_told", _J, ("t",), "Told", "Read what the job has told of its work"),
    Action("show_details", _J, ("d",), "Details", "See all that is known of the job"),
    Action("show_curve", _J, ("c",), "Curve", "See a curve of the job as it grows"),
    Action("next_metric", _J, ("m",), "Metric", "Draw the next metric"),
    Action("previous_metric", _J, ("M",), "", "Draw the metric before"),
    Action("toggle_logarithmic", _J, ("L",), "", "Draw on a logarithmic scale, or not"),
    Action("run_anew", _J, ("a",), "Anew", "Queue a new job just like this one"),
    Action("change_job", _J, ("e",), "Change", "Queue a new job like this one, but changed"),
    Action("filter_jobs", _J, ("slash",), "Filter", "Filter by number, name, kind, state or group"),
    Action("limit_groups", _J, ("g",), "Groups", "Hold a group; how many of it run at once"),
    Action("raise_priority", _J, ("plus", "equals_sign"), "Earlier", "Let the job start earlier"),
    Action("lower_priority", _J, ("minus",), "Later", "Let the job start later"),
    Action("open_run", _J, ("o",), "Run", "Go to the job's run in Experiments"),
    Action("zoom_job", _J, ("z",), "Zoom", "Give the job all the room, or take it back"),
    Action("copy_id", _J, ("y",), "", "Copy the job's number"),
    Action("copy_command", _J, ("Y",), "", "Copy the job's command, or its parameters"),
    Action("next_part", _J, ("tab",), "", "From the queue to the log and on"),
    Action("previous_part", _J, ("shift+tab",), "", "The other way round"),
    Action("next_job", _J, ("ctrl+down", "alt+down"), "", "Choose the next job, from anywhere"),
    Action("previous_job", _J, ("ctrl+up", "alt+up"), "", "Choose the job before, from anywhere"),
    Action("move_jobs", _Q, ("down", "up"), "", "Choose a job; in a log: a line on, or back", native=True),
    Action("page_jobs", _Q, ("pagedown", "pageup"), "", "A screen further, or back", native=True),
    Action("end_jobs", _Q, ("home", "end"), "", "To the beginning, or the end", native=True),
    Action("queue_job", _N, ("enter", "ctrl+enter"), "Queue", "Queue the job as it is filled in"),
    Action("find_model", _N, ("ctrl+o",), "Models", "In the model's field: choose one there is"),
    Action("move_fields", _N, ("down", "up"), "", "The next field, or the one before", native=True),
    Action("move_choices", _N, ("right", "left"), "", "Another choice; take a path proposed", native=True),
    Action("more_at_once", _G, ("plus", "right", "equals_sign"), "More", "Let one more run at once"),
    Action("fewer_at_once", _G, ("minus", "left"), "Fewer", "Let one fewer run at once"),
    Action("hold_group", _G, ("h", "space"), "Hold", "Hold the group, or let it go on"),
    Action("move_groups", _G, ("down", "up"), "", "Another group", native=True),
    Action("answer", Where.CONFIRM, ("enter",), "Choose", "Give this answer; its letter does so too"),
    Action("move_answers", Where.CONFIRM, ("down", "up"), "", "Another answer", native=True),
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
    Action("show_leaderboard", _X, ("b",), "Leaderboard", "See who does best, the paper's guards included"),
    Action("show_matrix", _X, ("x",), "Matrix", "See a matrix run as a table: sets by models"),
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
    Action("toggle_paired", _C, ("i",), "By item", "Compare two evaluations item by item, or not"),
    Action("toggle_blur", _C, ("ctrl+b",), "Show text", "Show or hide their texts, blurred at first"),
    Action("export_runs", _C, ("e",), "Export", "Export the comparison"),
    Action("scroll_comparison", _C, ("pagedown", "pageup"), "", "Read on, or back", native=True),
    Action("open_run", _B, ("enter",), "Open", "Go to the row's run in the list of runs"),
    Action("leave_leaderboard", _B, ("escape",), "Back", "Back to the list of runs"),
    Action("next_task", _B, ("t",), "Task", "Another task: prompt, response, refusal"),
    Action("sort_rows", _B, ("s",), "Sort", "Choose what the rows are sorted by"),
    Action("reverse_sort", _B, ("r",), "Reverse", "Sort the other way round"),
    Action("copy_table", _B, ("Y",), "Copy", "Copy the table as Markdown"),
    Action("export_runs", _B, ("e",), "Export", "Export the runs of the rows"),
    Action("move_rows", _B, ("down", "up"), "", "Choose a row", native=True),
    Action("open_run", _MX, ("enter",), "Open", "Go to the cell's run in the list of runs"),
    Action("leave_matrix", _MX, ("escape",), "Back", "Back to the list of runs"),
    Action("next_figure", _MX, ("m",), "Figure", "Show another figure: differences, FPR, tokens"),
    Action("previous_figure", _MX, ("M",), "", "Show the figure before"),
    Action("next_benchmark", _MX, ("t",), "Benchmark", "Another benchmark, where there are several"),
    Action("copy_table", _MX, ("Y",), "Copy", "Copy the table as Markdown"),
    Action("export_runs", _MX, ("e",), "Export", "Export the runs of the cells"),
    Action("move_cells", _MX, ("down", "up"), "", "Choose another set", native=True),
    Action("move_models", _MX, ("right", "left", "end", "home"), "", "Choose another model", native=True),
    Action("choose", Where.CHOICE, ("enter",), "Choose", "Choose it"),
    Action("move_choice", Where.CHOICE, ("down", "up"), "", "Another one", native=True),
    Action("save_note", Where.NOTE, ("ctrl+s",), "Save", "Save the note"),
    Action("save_tags", Where.TAGS, ("enter",), "Save", "Save the tags"),
    Action("export", Where.EXPORT, ("enter",), "Export", "Write the file; asks before replacing one"),
    Action("next_selection", Where.EXPORT, ("ctrl+t",), "Runs", "Other runs: chosen, marked, all found"),
    Action("move_format", Where.EXPORT, ("down", "up"), "", "Another format", native=True),
    Action("save_case", Where.CASE, ("ctrl+s", "enter"), "Save", "Save; in a text, enter adds a line"),
    Action(
        "move_fields", Where.CASE, ("tab", "shift+tab"), "", "The next field, or the one before", native=True
    ),
    Action("move_choices", Where.CASE, ("right", "left"), "", "Another verdict", native=True),
    Action("close", Where.CASE, ("escape",), "Close", "Go back; asks first where that loses something"),
    Action("take", _I, ("enter",), "Take", "Take the cases checked; choose where to look"),
    Action("check", _I, ("space",), "Check", "Check the case, or not"),
    Action("check_all", _I, ("a",), "All", "Check all that are listed, or none"),
    Action("switch_verdict", _I, ("v",), "Verdict", "Have the policy say the other thing of it"),
    Action("toggle_blur", _I, ("ctrl+b",), "Show text", "Show or hide the texts, blurred at first"),
    Action("filter_cases", _I, ("slash",), "Filter", "Filter by words of the prompt or response"),
    Action("other_errors", _I, ("e",), "Errors", "False positives of the run, or false negatives"),
    Action("move_cases", _I, ("down", "up"), "", "Choose a case", native=True),
    Action("close", _I, ("escape",), "Back", "Back; asks first where checks are lost"),
    Action("close", _H, ("escape",), "Close", "Go back"),
    *(Action("close", where, ("escape",), "Close", "Go back") for where in _DIALOGS),
    Action("close", _M, ("escape",), "Close", "Go back"),
    Action("close", Where.DIALOG, ("escape",), "Close", "Go back"),
    Action("show_probe", Where.EVERYWHERE, ("alt+1", "1"), "", "Go to Probe (1 is text where one types)"),
    Action("show_policies", Where.EVERYWHERE, ("alt+2", "2"), "", "Go to Policies"),
    Action("show_jobs", Where.EVERYWHERE, ("alt+3", "3"), "", "Go to Jobs"),
    Action("show_experiments", Where.EVERYWHERE, ("alt+4", "4"), "", "Go to Experiments"),
    Action("next_pane", Where.EVERYWHERE, ("f9",), "Pane", "Go to the next pane"),
    Action("palette", Where.EVERYWHERE, ("ctrl+p",), "Commands", "Find any action by its name"),
    Action("help", Where.EVERYWHERE, ("f1", "question_mark"), "Help", "Show these keys"),
    Action("next_theme", Where.EVERYWHERE, ("f8",), "", "Next theme; the palette has them by name"),
    Action("quit", Where.EVERYWHERE, ("ctrl+q",), "Quit", "Leave; jobs go on, a probe is stopped"),
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
