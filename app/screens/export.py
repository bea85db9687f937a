"""Exporting runs into a file: which, as what, and where to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.records import Store
from app.safe_text import visible
from app.widgets.bars import KeyBar
from app.widgets.pick_list import PickList
from app.widgets.safe_input import SafeInput
from engine.tracker import TrackerError
from engine.tracker.export import SUFFIXES, Format, Selection, export
from engine.tracker.export_file import ExportError, FileIsThere, write_file
from engine.workspace import of_home

if TYPE_CHECKING:
    from app.wizard import WizardApp

_FORMATS = {
    Format.HTML: "one page for a browser, with curves; at most 100 runs",
    Format.MARKDOWN: "tables to paste into a document",
    Format.CSV: "one row a run, for a spreadsheet",
    Format.JSON: "everything that is known, for a program",
}


@dataclass(frozen=True, slots=True)
class Selected:
    """Runs that can be exported: what to call them, and which they are."""

    name: str
    selection: Selection
    count: int


class ExportScreen(ModalScreen[None]):
    """Writes the file while it is open, and closes once it is written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.EXPORT),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    HELP_PLACES = (Where.EXPORT, Where.EVERYWHERE)
    AUTO_FOCUS = "#path"

    def __init__(self, selections: Sequence[Selected]) -> None:
        super().__init__()
        self._selections = selections
        self._selected = 0
        self._formats = PickList(id="formats")
        self._path = SafeInput(id="path", placeholder="The file to write")
        self._which = Static(id="which")
        self._said = Static(id="detail")
        self._key_bar = KeyBar()
        self._replaceable: str | None = None
        self._stop: threading.Event | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Export"
            yield self._which
            yield self._formats
            yield self._path
            yield self._said
            yield self._key_bar

    def on_mount(self) -> None:
        self._formats.styles.height = len(_FORMATS)
        rows = [
            Content.assemble((f"{form:10}", "bold"), (said, "$text-muted")) for form, said in _FORMATS.items()
        ]
        self._formats.show(rows)
        self._path.value = str(Path("runs").with_suffix(SUFFIXES[self._form]))
        self._show_which()

    def on_unmount(self) -> None:
        self._cease()

    def _show_which(self) -> None:
        self._which.update(Content.assemble(("Export ", "$text-muted"), (self._chosen.name, "bold")))
        self._key_bar.show(action for action in actions(Where.EXPORT) if self.why_not(action.name) is None)

    @property
    def _form(self) -> Format:
        return list(_FORMATS)[self._formats.chosen]

    @property
    def _chosen(self) -> Selected:
        return self._selections[self._selected]

    def action_move(self, by: int) -> None:
        self._formats.move(by)
        self._follow_format()

    @on(PickList.Picked)
    def _follow_format(self) -> None:
        """Let the file's name end as such files do, if it has had the ending of another form."""
        path = Path(self._path.value)
        if path.suffix in SUFFIXES.values():
            self._path.value = str(path.with_suffix(SUFFIXES[self._form]))

    def do_next_selection(self) -> None:
        self._selected = (self._selected + 1) % len(self._selections)
        self._show_which()

    # --- writing -------------------------------------------------------------------------------------

    def do_export(self) -> None:
        self._stop = threading.Event()
        self._say("Writing…")
        self.run_worker(self._export(self._path.value, self._stop))

    async def _export(self, text: str, stop: threading.Event) -> None:
        chosen, form, force = self._chosen, self._form, self._replaceable == text
        try:
            store = await cast("WizardApp", self.app).records.ask(lambda store: store)
            path = await asyncio.to_thread(
                _write, store, text, chosen.selection, form, force=force, stop=stop
            )
        except FileIsThere as error:
            self._replaceable = text
            self._say(f"! {error.message} enter again replaces it.")
        except ExportError as error:
            self._say(f"! {error.message} {error.kept}")
        except Exception as error:
            self._say(f"! {error}")
        else:
            self.app.notify(f"{chosen.name[:1].upper()}{chosen.name[1:]}: written to {path}")
            self.dismiss()
        finally:
            self._stop = None

    def _say(self, text: str) -> None:
        self._said.update(Content(visible(text, keep_newlines=False)))

    @on(SafeInput.Changed)
    def _another_path(self) -> None:
        """Go by the file's ending, where a form has that."""
        self._replaceable = None
        self._say("")
        suffix = Path(self._path.value).suffix.lower()
        endings = [SUFFIXES[form] for form in _FORMATS]
        if suffix in endings:
            self._formats.move(endings.index(suffix) - self._formats.chosen)

    def _cease(self) -> None:
        if self._stop is not None:
            self._stop.set()

    def do_close(self) -> None:
        self._cease()
        self.dismiss()

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        match name:
            case "export" if self._stop is not None:
                return "It is being written. esc stops that."
            case "export" if not self._path.value.strip():
                return "Say which file to write."
            case "next_selection" if len(self._selections) == 1:
                return "There are no other runs to choose."
        return None

    @on(SafeInput.Submitted)
    def _entered(self) -> None:
        cast("WizardApp", self.app).act("export")


def _write(
    store: Store, name: str, selection: Selection, form: Format, *, force: bool, stop: threading.Event
) -> Path:
    path = of_home(name.strip()).absolute()
    write_file(path, _until(stop, export(store.runs, selection, form)), database=store.runs.path, force=force)
    return path


def _until(stop: threading.Event, pieces: Iterable[str]) -> Iterator[str]:
    """Yield the pieces, until it is stopped: nothing is written then."""
    for piece in pieces:
        if stop.is_set():
            raise TrackerError("The export was stopped.", kept="No file was made or changed.")
        yield piece
