"""The versions of a policy's file: what differs between any two, who used them, and where a case flipped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from app.actions import Where, actions, bindings
from app.diffing import Diff, diff
from app.safe_text import visible
from app.screens.live import LiveScreen
from app.trial_words import said_words
from app.widgets.bars import KeyBar, TopBar
from app.widgets.diff_view import DiffView
from app.widgets.row_list import RowList
from app.widgets.stream_view import StreamView
from app.widgets.version_list import VersionList, VersionRow
from engine.cases import Finding
from engine.policies.load import PolicyCase, PolicyError
from engine.tracker.policy_records import PolicyFileVersion, Uses
from engine.workshop.bisection import Bisection, BisectionError, bisect
from engine.workshop.trials import TrialStopped
from engine.workshop.versions import files_of, uses_of
from engine.workshop.workshop import Workshop

if TYPE_CHECKING:
    from app.screens.policies import PoliciesScreen

_SHORT, _WIDE = 30, 120
_LONGEST = 2_000


class VersionsScreen(LiveScreen):
    """Stands before the policies pane until one goes back. The text in the editor is the newest of all."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.VERSIONS)]
    AUTO_FOCUS = "#versions"
    HELP_PLACES = (Where.VERSIONS, Where.EVERYWHERE)

    def __init__(self, pane: PoliciesScreen, file: str, case: PolicyCase | None) -> None:
        super().__init__()
        self.pane = pane
        self.file = file
        self.case = case
        self.top = TopBar("policies")
        self.list = VersionList(id="versions", empty="No version is known yet.")
        self.difference = DiffView(id="difference", empty="")
        self.details = StreamView(id="version-details", empty="")
        self.key_bar = KeyBar()
        self.versions: Sequence[PolicyFileVersion] = ()
        self.marked: str | None = None
        self.bisecting = False
        self._texts: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        with Horizontal(id="history"):
            yield self.list
            with Vertical(id="differing"):
                yield self.difference
                yield self.details
        yield self.key_bar

    def on_mount(self) -> None:
        self._show_settings()
        self.show_keys()

    def on_resize(self) -> None:
        self.set_class(self.size.height < _SHORT, "-short")
        self.set_class(self.size.width >= _WIDE, "-wide")

    # --- reading -------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        file = self.file
        versions = await self.records.ask(lambda store: store.policies.versions(file))
        if file == self.file:
            self.versions = versions
            self._list()
            self.caught_up()

    def _list(self) -> None:
        rows = [VersionRow(version, version.label == self.marked) for version in self.versions]
        buffer = self.pane.buffers.get(self.file)
        if buffer is not None and buffer.dirty:
            rows.insert(0, VersionRow(None, self.marked == "editor"))
        self.list.show(rows)
        self._compare()
        self.show_keys()

    def _show_settings(self) -> None:
        settings = [("file", self.file, "toggle_file"), ("guard", self.pane.judge.words, "")]
        self.top.show(*settings)

    async def _text(self, row: VersionRow) -> str | None:
        if row.version is None:
            buffer = self.pane.buffers.get(self.file)
            return None if buffer is None else buffer.text
        sha = row.version.sha256
        if sha not in self._texts:
            text = await self.ask(lambda store: store.policies.text(sha))
            if text is None:
                return None
            self._texts[sha] = text
        return self._texts[sha]

    # --- what differs --------------------------------------------------------------------------------

    def _base(self) -> VersionRow | None:
        """What the chosen version is compared with: the one marked, else the one before it."""
        rows, chosen = self.list.rows, self.list.row
        if chosen is None:
            return None
        marked = next((row for row in rows if row.marked), None)
        if marked is not None and marked.label != chosen.label:
            return marked
        place = self.list.chosen + 1
        return rows[place] if place < len(rows) else None

    def _compare(self) -> None:
        self.run_worker(self._read_and_compare(), group="compare", exclusive=True)

    async def _read_and_compare(self) -> None:
        chosen, base = self.list.row, self._base()
        if chosen is None:
            return
        text = await self._text(chosen)
        before = "" if base is None else await self._text(base)
        if text is None or before is None:
            self.difference.clear("This text was not kept.")
            return
        made: Diff = await asyncio.to_thread(diff, before, text)
        self.difference.show(made, "nothing" if base is None else base.label, chosen.label)
        if not self.bisecting:
            await self._tell_of(chosen)

    async def _tell_of(self, row: VersionRow) -> None:
        version = row.version
        self.details.clear()
        if version is None:
            self.details.add([Content("The text in the editor. It becomes a version once it is saved.")])
            return
        uses = await self.ask(lambda store: uses_of(store.policies, version))
        if uses is not None and self.list.row == row:
            self.details.clear()
            self.details.add(_version_lines(version, uses))

    @on(RowList.Moved, "#versions")
    def _moved(self) -> None:
        self._compare()
        self.show_keys()

    @on(RowList.Opened, "#versions")
    def _opened(self) -> None:
        self.difference.focus()

    # --- actions -------------------------------------------------------------------------------------

    def do_go_back(self) -> None:
        if self.bisecting:
            self.workers.cancel_group(self, "bisect")
            self.bisecting = False
            self._compare()
        else:
            self.dismiss()

    def do_mark_version(self) -> None:
        assert self.list.row is not None
        label = self.list.row.label
        self.marked = None if self.marked == label else label
        self._list()

    def do_toggle_file(self) -> None:
        text, signals = files_of(self.file.partition("/")[0])
        self.file = signals if self.file == text else text
        self.marked = None
        self._show_settings()
        self.look_anew()

    def do_restore_version(self) -> None:
        self.run_worker(self._restore(), group="restore", exclusive=True)

    async def _restore(self) -> None:
        row = self.list.row
        assert row is not None
        text = await self._text(row)
        if text is None:
            self.app.notify("This text was not kept.", severity="warning")
            return
        self.dismiss()
        await self.pane.take_text(self.file, text)
        self.app.notify(f"{row.label} is in the editor: ctrl+s saves it, ctrl+z takes it back.", timeout=5)

    def do_compare_by_version(self) -> None:
        assert self.list.row is not None
        version = self.list.row.version
        self.dismiss()
        self.pane.compare_with(version)

    def do_toggle_sides(self) -> None:
        self.difference.toggle_sides()

    def do_toggle_folds(self) -> None:
        self.difference.toggle_folds()

    def do_next_change(self) -> None:
        self.difference.next_change()

    def do_previous_change(self) -> None:
        self.difference.previous_change()

    # --- bisection -----------------------------------------------------------------------------------

    def do_bisect(self) -> None:
        self.bisecting = True
        self.run_worker(self._bisect(), group="bisect", exclusive=True)

    async def _bisect(self) -> None:
        case, judge, policy = self.case, self.pane.judge, self.pane.policy
        file = self.pane.judged_file
        assert case is not None
        assert file is not None
        if file != self.file:
            self.file, self.marked = file, None
            self._show_settings()
            await self.catch_up()
        texts = await self.ask(
            lambda store: store.policies.texts({version.sha256 for version in self.versions})
        )
        if texts is None:
            return

        async def work(workshop: Workshop) -> Bisection:
            async def judged(version: PolicyFileVersion) -> Finding:
                self.app.call_later(self._tell_of_step, version)
                return await workshop.finding(judge, policy, case, {file: texts[version.sha256]})

            return await bisect(list(reversed(self.versions)), judged)

        try:
            found = await self.pane.ask_workshop(work)
        except (BisectionError, TrialStopped, PolicyError) as error:
            self._told([Content(visible(str(error), keep_newlines=False))])
            return
        except Exception as error:
            self._told([Content.styled(f"✗ {visible(str(error), keep_newlines=False)}", "$text-error")])
            return
        self.marked = None
        self.list.show(self.list.rows, choose=found.after.version.label)
        self._list()
        self._told(list(_bisection_lines(found)))

    def _tell_of_step(self, version: PolicyFileVersion) -> None:
        self.details.clear()
        self.details.add([Content.styled(f"Judging the case by {version.label}…", "$text-muted")])

    def _told(self, lines: Sequence[Content]) -> None:
        """Show what came of it, until another version is chosen."""
        self.details.clear()
        self.details.add(lines)
        self.bisecting = True
        self.call_after_refresh(self._bisected)

    def _bisected(self) -> None:
        self.bisecting = False
        self.show_keys()

    # --- what works now ------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        row = self.list.row
        if row is None and name in ("mark_version", "restore_version", "compare_by_version"):
            return "There is no version yet."
        match name:
            case "restore_version" if row is not None and row.version is None:
                return "This is the text in the editor."
            case "compare_by_version" if row is not None and row.version is None:
                return "This is the text in the editor: choose a version."
            case "compare_by_version" if self.pane.judged_file != self.file:
                return f"{self.pane.choice.title} goes by another file."
            case "bisect" if self.bisecting:
                return "It is under way: esc stops it."
            case "bisect" if self.case is None:
                return "Choose a case in the policies pane first."
            case "bisect" if self.pane.judged_file is None:
                return f"{self.pane.choice.title} reads no policy: no version changes what it says."
            case "bisect":
                return self.pane.choice.missing or None
        return None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.VERSIONS, Where.EVERYWHERE)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)


def _version_lines(version: PolicyFileVersion, uses: Uses) -> Iterator[Content]:
    yield Content.assemble((version.label, "bold $text-primary"), f"  sha256 {version.sha256}")
    yield Content(f"used by {_used(uses.probes, 'probe', uses.newest_probes)}")
    yield Content(f"and by {_used(uses.runs, 'run', uses.newest_runs)}")


def _used(number: int, what: str, newest: Sequence[int]) -> str:
    named = ", ".join(f"#{each}" for each in newest)
    more = ", …" if number > len(newest) else ""
    return f"{number:,} {what}{'' if number == 1 else 's'}{f': {named}{more}' if named else ''}"


def _bisection_lines(found: Bisection) -> Iterator[Content]:
    before, after = found.before, found.after
    yield Content.assemble(
        ("The case flipped at ", ""),
        (after.version.label, "bold $text-primary"),
        (f": {said_words(before.finding)} by {before.version.label}, ", ""),
        (f"{said_words(after.finding)} by {after.version.label}", "bold"),
    )
    steps = ", ".join(f"{each.version.label} {said_words(each.finding)}" for each in found.judged)
    yield Content.styled(f"Judged: {steps}", "$text-muted")
    for each in (before, after):
        yield Content("")
        yield Content.styled(f"{each.version.label}: {said_words(each.finding)}", "bold")
        for line in visible(each.finding.reasoning[:_LONGEST]).split("\n"):
            yield Content(f"  {line}")
