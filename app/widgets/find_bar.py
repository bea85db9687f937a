"""The bar that finds words in an editor, and puts others in their place."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from itertools import groupby
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from app.safe_text import one_line
from app.search_cage import Found
from app.text_search import Query, QueryError, replaced, search
from app.widgets.code_editor import CodeEditor
from app.widgets.safe_input import SafeInput

_REST_S = 0.15
_LONGEST_REMARK = 200
_READ_ONLY = "nothing was replaced: this text cannot be changed here"
_KEYS = "enter next  up previous  alt+c/w/r options  esc close"
_REPLACING_KEYS = "enter replaces  alt+a all  down skips  esc close"


class _Option(Static):
    """A switch: a full circle is on."""

    class Clicked(Message):
        """It is to be the other way round."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.option = name

    def __init__(self, name: str, words: str) -> None:
        super().__init__(id=f"find-{name.replace('_', '-')}", classes="option")
        self.option = name
        self._words = words

    def show(self, on: bool) -> None:
        self.update(Content.styled(f"{'●' if on else '○'} {self._words}", "bold" if on else "$text-muted"))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Clicked(self.option))


class FindBar(Vertical):
    """Words to find in one editor, with those that take their place in a second row.

    It is out of sight until `open`. A match is selected in the editor; all of them are shown there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "find_next", show=False),
        Binding("up,shift+enter", "find_previous", show=False),
        Binding("alt+c", "switch('case')", show=False),
        Binding("alt+w", "switch('whole_words')", show=False),
        Binding("alt+r", "switch('expression')", show=False),
        Binding("alt+a", "replace_all", show=False),
        Binding("escape", "close", show=False),
    ]

    class Closed(Message):
        """The bar is out of sight; whoever has the editor gives it the focus."""

    def __init__(self, *, id: str = "find-bar") -> None:
        super().__init__(id=id)
        self._editor: CodeEditor | None = None
        self._watched: set[CodeEditor] = set()
        self._options = dict.fromkeys(("case", "whole_words", "expression"), False)
        self._matches: list[Found] = []
        self._of: tuple[Query, CodeEditor, int] | None = None
        self._asked: tuple[Query, CodeEditor, int] | None = None
        self._then: Callable[[], None] | None = None
        self._origin = (0, 0)
        self._remark = ""
        self._failed = False
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("Find", classes="title")
            yield SafeInput(id="find-words", placeholder="")
            yield _Option("case", "case")
            yield _Option("whole_words", "word")
            yield _Option("expression", "regex")
        with Horizontal(id="find-replacing"):
            yield Static("Replace by", classes="title")
            yield SafeInput(id="find-instead", placeholder="nothing")
        with Horizontal():
            yield Static(id="find-remark")
            yield Static(id="find-keys")

    def on_mount(self) -> None:
        self.display = False
        self._show_options()

    # --- what the pane asks for ----------------------------------------------------------------------

    def attach(self, editor: CodeEditor) -> None:
        """Find in this editor from now on."""
        if self._editor is not None and self._editor is not editor:
            self._editor.show_found({})
        self._editor = editor
        if editor not in self._watched:
            self._watched.add(editor)
            self.watch(editor, "revision", lambda: self._text_changed(editor), init=False)
            self.watch(editor, "selection", lambda: self._moved(editor), init=False)
        if self.display:
            self._origin = min(editor.selection)
            self._search()

    def open(self, *, replacing: bool = False) -> None:
        """Come into sight, with what is selected in the editor as the words, if it is within a line."""
        if self._editor is None:
            return
        self.display = True
        self.query_one("#find-replacing").display = replacing
        self._origin = min(self._editor.selection)
        selected = self._editor.selected_text
        words = self.query_one("#find-words", SafeInput)
        if selected and "\n" not in selected and not self._editor.held:
            words.value = selected
        words.action_select_all()
        self.screen.set_focus(words)  # at once: what is typed right after is looked for
        self._search()

    def close(self) -> None:
        """Go out of sight, and let go of what was found. The words stay for the next time."""
        self.display = False
        self._then = None
        if self._editor is not None:
            self._editor.show_found({})
        self.post_message(self.Closed())

    @property
    def query_asked(self) -> Query:
        """What is looked for."""
        instead = self.query_one("#find-instead", SafeInput).value if self.replacing else ""
        return Query(self.query_one("#find-words", SafeInput).value, instead, **self._options)

    @property
    def replacing(self) -> bool:
        """Whether the row of what takes the words' place is in sight."""
        return self.display and self.query_one("#find-replacing").display

    @property
    def remark(self) -> str:
        """What the bar says: how many matches there are and which is the present one, or what is wrong."""
        if self._remark or not self.query_asked.words:
            return self._remark
        here = self._here()
        if not self._matches:
            return "nothing found"
        return (
            f"{here + 1:,} of {len(self._matches):,}" if here is not None else f"{len(self._matches):,} found"
        )

    def toggle_case(self) -> None:
        """Tell small letters from capital ones, or do not any more."""
        self.action_switch("case")

    def toggle_whole_words(self) -> None:
        """Find whole words only, or any part of one."""
        self.action_switch("whole_words")

    def toggle_expression(self) -> None:
        """Take the words for a regular expression, or as they are."""
        self.action_switch("expression")

    def find_next(self) -> None:
        """Select the match behind the cursor; behind the last one, the first. Also while out of sight."""
        self._with_matches(lambda: self._step(1))

    def find_previous(self) -> None:
        """Select the match before the cursor; before the first one, the last."""
        self._with_matches(lambda: self._step(-1))

    def replace_one(self) -> None:
        """Put the other words in the place of the selected match, and select the next one."""
        if self._about_to_replace():
            self._with_matches(self._replace_here)

    def replace_all(self) -> None:
        """Put the other words in the place of all matches, by one edit that can be undone."""
        if self._about_to_replace():
            self._with_matches(self._replace_all)

    def _about_to_replace(self) -> bool:
        """Return whether it is in sight what takes the place of the words; else show it first."""
        if not self.replacing:
            self.open(replacing=True)
            return False
        return True

    # --- keys ----------------------------------------------------------------------------------------

    def action_find_next(self) -> None:
        self.find_next()

    def action_find_previous(self) -> None:
        self.find_previous()

    def action_replace_all(self) -> None:
        self.replace_all()

    def action_close(self) -> None:
        self.close()

    def action_switch(self, option: str) -> None:
        self._options[option] = not self._options[option]
        self._show_options()
        self._search(go=True)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        keys = _REPLACING_KEYS if event.widget.id == "find-instead" else _KEYS
        self.query_one("#find-keys", Static).update(keys)

    @on(_Option.Clicked)
    def _clicked(self, event: _Option.Clicked) -> None:
        event.stop()
        self.action_switch(event.option)

    @on(SafeInput.Submitted)
    def _entered(self, event: SafeInput.Submitted) -> None:
        event.stop()
        if event.input.id == "find-instead":
            self.replace_one()
        else:
            self.find_next()

    @on(SafeInput.Changed)
    def _typed(self, event: SafeInput.Changed) -> None:
        event.stop()
        if self.display and self._wanted() != self._asked:
            self._search(go=event.input.id == "find-words")

    def _show_options(self) -> None:
        for option in self.query(_Option):
            option.show(self._options[option.option])

    # --- finding -------------------------------------------------------------------------------------

    def _wanted(self) -> tuple[Query, CodeEditor, int] | None:
        editor = self._editor
        return None if editor is None else (self.query_asked, editor, editor.revision)

    def _text_changed(self, editor: CodeEditor) -> None:
        if editor is self._editor and self.display:
            self._later(self._search)

    def _moved(self, editor: CodeEditor) -> None:
        if editor is self._editor and self.display:
            if not self._failed:
                self._remark = ""
            self._show_remark()

    def _later(self, what: Callable[[], None]) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST_S, what)

    def _with_matches(self, then: Callable[[], None]) -> None:
        """Do something as soon as the matches are those of the present text and words."""
        self._then = then
        wanted = self._wanted()
        if wanted is not None and self._of == wanted:
            self._do_then()
        elif self._asked != wanted:
            self._search()

    def _do_then(self) -> None:
        then, self._then = self._then, None
        if then is not None and not self._failed:
            self._remark = ""
            then()
        self._show_remark()

    def _search(self, *, go: bool = False) -> None:
        """Look for the words; with ``go`` select the first match behind where the cursor was at the start."""
        wanted = self._wanted()
        if wanted is None:
            return
        if go:
            self._then = self._go
        self._asked = wanted
        query, editor, _ = wanted
        if editor.held:
            self._found([], "too large to search here")
        elif query.expression:
            self._later(self._search_apart)
        else:
            self._found(search(editor.value.split("\n"), query))

    def _search_apart(self) -> None:
        self.run_worker(self._wait_for_matches(), group="find", exclusive=True)

    async def _wait_for_matches(self) -> None:
        wanted = self._asked
        if wanted is None:
            return
        query, editor, _ = wanted
        lines = editor.value.split("\n")
        try:
            matches, trouble = await asyncio.to_thread(search, lines, query), ""
        except (QueryError, OSError) as error:
            matches, trouble = [], str(error)
        if wanted == self._asked == self._wanted():
            self._found(matches, trouble)

    def _found(self, matches: list[Found], trouble: str = "") -> None:
        self._matches = matches
        self._of = self._asked
        was_wrong = self._failed  # what was wrong is no more
        self._failed = bool(trouble)
        if trouble or was_wrong:
            self._remark = one_line(trouble, _LONGEST_REMARK)
        if self._editor is not None and self.display:
            by_row = groupby(matches, key=lambda match: match[0])
            self._editor.show_found({row: [match[1:3] for match in some] for row, some in by_row})
        self._do_then()

    # --- going there, and replacing ------------------------------------------------------------------

    def _here(self) -> int | None:
        """Return the index of the match that is selected."""
        if self._editor is None:
            return None
        (row, first), end = sorted(self._editor.selection)
        index = self._index_at((row, first))
        if index < len(self._matches) and self._matches[index][:2] == (row, first):
            return index if (row, self._matches[index][2]) == end else None
        return None

    def _index_at(self, location: tuple[int, int]) -> int:
        """Return the index of the first match that begins at a location or behind it."""
        return bisect_left(self._matches, location, key=lambda match: match[:2])

    def _go(self) -> None:
        if self._matches:
            self._select(self._index_at(self._origin))

    def _step(self, by: int) -> None:
        if self._editor is None or not self._matches:
            return
        first, last = sorted(self._editor.selection)
        if by > 0:
            self._select(self._index_at(last if self._here() is not None else first))
        else:
            self._select(self._index_at(first) - 1)

    def _select(self, index: int) -> None:
        beyond = "from the top" if index >= len(self._matches) else "from the end" if index < 0 else ""
        index %= len(self._matches)
        row, first, last, _ = self._matches[index]
        assert self._editor is not None
        self._editor.select(row, (first, last))
        self._origin = (row, first)
        if beyond:
            self._remark = f"{index + 1:,} of {len(self._matches):,} · {beyond}"

    def _replace_here(self) -> None:
        here, editor = self._here(), self._editor
        if editor is not None and editor.read_only:
            self._remark = _READ_ONLY
            return
        if here is None or editor is None:
            self._step(1)
            return
        row, first, last, instead = self._matches[here]
        editor.replace_range((row, first), (row, last), instead)
        self._with_matches(lambda: self._step(1))

    def _replace_all(self) -> None:
        editor, matches = self._editor, self._matches
        if editor is None or not matches:
            return
        if editor.read_only:
            self._remark = _READ_ONLY
            return
        text = replaced(editor.value.split("\n"), matches)
        if not editor.fits(text):
            self._remark = "nothing was replaced: the text would be too large to edit"
            return
        editor.replace_text(text)
        self._remark = f"{len(matches):,} replaced; undo takes all of it back"

    def _show_remark(self) -> None:
        trouble = self._failed or (not self._matches and bool(self.query_asked.words))
        style = "$text-error bold" if trouble else "$text-muted"
        self.query_one("#find-remark", Static).update(Content.styled(self.remark, style))
