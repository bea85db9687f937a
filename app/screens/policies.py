"""The policies pane: a policy's texts in an editor, and at once what a change does to its cases."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical

from app.actions import Where, actions, bindings
from app.inspection import columns, sections_of
from app.policy_buffers import Buffer
from app.screens.policy_texts import PolicyTexts
from app.widgets.find_bar import FindBar
from app.widgets.policy_panel import PolicyPanel
from app.widgets.policy_text import PolicyText
from app.widgets.policy_tree import Part
from app.widgets.row_list import RowList
from engine.policies.lint import LintFinding, apply_fix
from engine.policies.load import PolicyCase, PolicyError, policy_names
from engine.policies.signals import SHARED_NAME
from engine.tracker.policy_records import PolicyFileVersion

_WIDE, _SHORT = 132, 30


class PoliciesScreen(PolicyTexts):
    """The policies on the left, the text of one in the middle, what comes of it beside or below it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.POLICIES), *bindings(Where.POLICY_PARTS)]
    AUTO_FOCUS = "#policies"
    HELP_PLACES = (Where.POLICIES, Where.POLICY_PARTS, Where.FIND, Where.EVERYWHERE)

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        with Horizontal(id="workbench"):
            yield self.tree_
            with Container(id="desk"):
                with Vertical(id="writing"):
                    yield Container(id="texts")
                    yield self.find
                    yield self.measure
                yield self.panel
        yield self.key_bar

    def on_mount(self) -> None:
        self.find.display = False
        self._arrange()
        self.show_settings()
        self.begin_files()
        self.run_worker(self._begin(), group="begin")

    def on_unmount(self) -> None:
        self.end_files()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        self.set_class(self.size.height < _SHORT, "-short")
        self.show_keys()

    # --- keeping up ----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        await self._read_names()
        if self.names and not self.policy:
            await self.open_policy(self.names[0])
        self._begun = True
        await self.note_all(self.names)

    async def _read_names(self) -> None:
        try:
            self.names = await asyncio.to_thread(policy_names, self.folder)
        except PolicyError as error:
            self.tell_of_files(str(error))

    async def prepare(self) -> None:
        if self._begun:
            self.look_at_files()

    async def catch_up(self) -> None:
        self._versions = await self.records.ask(lambda store: store.policies.counts())
        self._show_tree()
        self.caught_up()

    def files_changed(self) -> None:
        self._show_tree()
        self._inspect_soon()
        self.run_worker(self._reload_cases(), group="cases", exclusive=True)
        self.look_anew()

    async def _reload_cases(self) -> None:
        before = self.cases
        await self.load_cases()
        if self.cases != before or self.watching or self.live:
            self.run_trial()

    # --- what is shown of a trial --------------------------------------------------------------------

    def show_trial(self) -> None:
        self.panel.show_trial(self.trial, self.why_no_trial() or "", self._not_of_this_text)
        self.show_keys()

    @property
    def _not_of_this_text(self) -> str:
        """What to say where the judge does not go by the text that is shown."""
        file = self.judged_file
        if file is None:
            return f"{self.choice.title} reads no policy: no change of one changes what it says."
        if file == self.file or (self.live and self.file == SHARED_NAME):
            return ""
        return f"{self.choice.title} goes by {file}, not by this text."

    def show_settings(self) -> None:
        choice = self.choice
        setting = ("prompt", choice.prompt_style) if choice.does_tasks else ("level", choice.level)
        settings = [("guard", choice.kind, "next_guard"), (*setting, "next_level")]
        if choice.kind == "gauntlet":
            settings.append(("speed", self.speed.value, "next_speed"))
        if choice.needs_model:
            settings.append(("model", choice.model_spec or "no model", "choose_model"))
        settings.append(("against", self.base_label, "choose_base"))
        if self.watching:
            settings.append(("watch", "on save", "toggle_watch"))
        self.top.show(*settings)
        self.show_keys()

    # --- actions -------------------------------------------------------------------------------------

    @property
    def chosen_case(self) -> PolicyCase | None:
        return self.panel.case

    def do_save_text(self) -> None:
        buffer = self.buffer
        assert buffer is not None
        self.begin_dialog(self._save(buffer))

    async def _save(self, buffer: Buffer) -> None:
        await self.save(buffer)

    async def save_all(self) -> bool:
        """Save all that is not saved; return whether it is."""
        saved = [await self.save(buffer) for buffer in self.buffers.dirty]
        return all(saved)

    def do_toggle_file(self) -> None:
        other = Part.TEXT if self._part_shown is Part.SIGNALS else Part.SIGNALS
        self.run_worker(self._toggle_file(other), group="open", exclusive=True)

    async def _toggle_file(self, part: Part) -> None:
        had_focus = self.editor is not None and self.editor.has_focus
        await self.open_file(f"{self.policy}/{part.value}")
        self.show_trial()
        if had_focus:
            self._focus_text()

    def do_find(self) -> None:
        self.find.open()

    def do_replace(self) -> None:
        self.find.open(replacing=True)

    @on(FindBar.Closed)
    def _found(self) -> None:
        self._focus_text()

    def do_edit_outside(self) -> None:
        assert self.buffer is not None
        self.edit_outside(self.buffer)

    def do_go_to_section(self) -> None:
        self.begin_dialog(self._ask_for_section())

    async def _ask_for_section(self) -> None:
        from app.screens.choice import ChoiceScreen

        editor = self.editor
        assert editor is not None
        places = sections_of(self.file, editor.value)
        here = editor.cursor[0] + 1
        present = max((index for index, (line, _) in enumerate(places) if line <= here), default=0)
        chosen = await self.app.push_screen_wait(
            ChoiceScreen("Go to", [f"{line:>4}  {title}" for line, title in places], present)
        )
        if chosen is not None:
            editor.go_to(places[chosen][0])
            editor.focus()

    def do_next_finding(self) -> None:
        looked, editor = self.inspections.get(self.file), self.editor
        assert looked is not None
        assert editor is not None
        here = editor.cursor[0] + 1
        following = [finding for finding in looked.findings if finding.line > here]
        finding = (following or list(looked.findings))[0]
        self._go_to_finding(finding)
        self.app.notify(finding.message, timeout=6)

    def _go_to_finding(self, finding: LintFinding) -> None:
        editor = self.editor
        assert editor is not None
        span = columns(finding, editor.value)
        editor.go_to(finding.line, 0 if span is None else span[0])
        self.panel.findings.show(
            self.inspections[self.file].findings, choose=self.panel.findings.key_of(finding)
        )

    def do_mend_finding(self) -> None:
        finding, editor = self._mendable, self.editor
        assert finding is not None
        assert finding.fix is not None
        assert editor is not None
        editor.replace_text(apply_fix(editor.value, finding.fix))
        self.app.notify(f"{finding.fix.says} ctrl+z takes it back.", timeout=4)

    @property
    def _mendable(self) -> LintFinding | None:
        """The finding that would be mended: the one chosen in the list, or the next from the cursor on."""
        looked, buffer = self.inspections.get(self.file), self.buffer
        if looked is None or buffer is None or looked.text != buffer.text:
            return None
        chosen = self.panel.findings.row
        if self.panel.findings.has_focus and chosen is not None:
            return chosen if chosen.fix is not None else None
        here = 0 if self.editor is None else self.editor.cursor[0] + 1
        mendable = [finding for finding in looked.findings if finding.fix is not None]
        return next(
            (finding for finding in mendable if finding.line >= here), mendable[0] if mendable else None
        )

    @on(RowList.Opened, "#findings")
    def _finding_opened(self, event: RowList.Opened) -> None:
        if isinstance(event.rows.row, LintFinding):
            self._go_to_finding(event.rows.row)
            self._focus_text()

    @on(RowList.Opened, "#cases")
    def _case_opened(self) -> None:
        self.panel.choose("case")
        self.panel.focus_view()

    def do_show_findings(self) -> None:
        self._show_view("findings")

    def do_show_cases(self) -> None:
        self._show_view("cases")

    def do_show_case(self) -> None:
        self._show_view("case")

    def do_next_view(self) -> None:
        self.panel.next_view()
        if self.panel.has_focus_within:
            self.panel.focus_view()

    def _show_view(self, view: str) -> None:
        self.panel.choose(view)
        self.panel.focus_view()

    def do_next_case(self) -> None:
        self.panel.table.choose(self.panel.table.chosen + 1)

    def do_previous_case(self) -> None:
        self.panel.table.choose(self.panel.table.chosen - 1)

    def do_filter_cases(self) -> None:
        self.remove_class("-text-only")
        self.panel.filter_cases()

    def do_toggle_blur(self) -> None:
        self.panel.toggle_blur()

    def do_zoom_part(self) -> None:
        """Give what has the focus all the room, or take it back."""
        zoomed = self.has_class("-text-only") or self.has_class("-panel-only")
        self.remove_class("-text-only", "-panel-only")
        if not zoomed:
            self.add_class("-panel-only" if self.panel.has_focus_within else "-text-only")
        self.show_keys()

    def do_show_versions(self) -> None:
        from app.screens.versions import VersionsScreen

        file = f"{self.policy}/{self._part_shown.value}"
        self.app.push_screen(VersionsScreen(self, file, self.panel.case))

    async def take_text(self, file: str, text: str) -> None:
        """Put a text into the editor of a file, to be saved or taken back."""
        await self.open_file(file)
        buffer, editor = self.buffer, self.editor
        if buffer is not None and editor is not None and not buffer.fault:
            editor.replace_text(text)
            editor.focus()

    def compare_with(self, version: PolicyFileVersion | None) -> None:
        """Compare what is typed with this version from now on."""
        self.run_worker(self._compare_with(version), group="base", exclusive=True)

    def do_leave(self) -> None:
        """Stop what runs; else close what is open; else go back to the text."""
        if self.trial.running:
            self.do_stop()
        elif self.find.display:
            self.find.close()
        elif self.panel.words.display:
            self.panel.words.close()
        elif self.has_class("-text-only") or self.has_class("-panel-only"):
            self.do_zoom_part()
        elif self.panel.present == "case" and self.panel.has_focus_within:
            self._show_view("cases")
        elif self.panel.has_focus_within:
            self._focus_text()
        else:
            self.tree_.focus()

    # --- what works now ------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        buffer, looked = self.buffer, self.inspections.get(self.file)
        if buffer is None and name in _NEEDS_TEXT:
            return "Open a policy first."
        match name:
            case "save_text" if buffer is not None and buffer.fault:
                return buffer.fault
            case "save_text" if buffer not in self.unsaved:
                return "There is nothing to save."
            case "edit_outside" if buffer is not None and buffer.fault:
                return buffer.fault
            case "toggle_file" if not self.policy:
                return "Open a policy first."
            case "next_finding" if looked is None or not looked.findings:
                return "Nothing is wrong with this text."
            case "mend_finding" if self._mendable is None:
                return "There is no finding here that one key can mend."
            case "run_cases" | "run_afresh" | "run_to_failure":
                return self.why_no_trial()
            case "next_speed" if self.choice.kind != "gauntlet":
                return "The speed is the gauntlet's: ctrl+g changes the guard."
            case "choose_base" if self.judged_file is None:
                return f"{self.choice.title} reads no policy: there is nothing to compare."
            case "choose_base" | "show_versions" if not self.policy:
                return "Open a policy first."
            case "next_case" | "previous_case" | "filter_cases" if not self.cases:
                return self.cases_fault or "This policy has no cases yet: n adds one."
            case "leave" if self.tree_.has_focus and not self._leavable:
                return "This is the list of policies. ctrl+q leaves the program."
        return super().why_not(name)

    @property
    def _leavable(self) -> bool:
        zoomed = self.has_class("-text-only") or self.has_class("-panel-only")
        return self.trial.running or self.find.display or self.panel.words.display or zoomed

    def show_keys(self) -> None:
        """Show the keys that work now, those of where one is first."""
        places = [Where.POLICIES, Where.EVERYWHERE]
        typing = self.focused is None or isinstance(self.focused, PolicyText)
        if not typing:
            places.insert(1, Where.POLICY_PARTS)
        candidates = actions(*places)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)

    @on(PolicyPanel.Changed)
    def _panel_changed(self) -> None:
        self.show_keys()

    def on_descendant_focus(self) -> None:
        self.show_keys()


_NEEDS_TEXT = frozenset(
    ("save_text", "find", "replace", "edit_outside", "go_to_section", "next_finding", "mend_finding")
)
