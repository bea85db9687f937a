"""The policies pane: a policy's texts in an editor, and at once what a change does to its cases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static, TextArea

from app.actions import Where, actions, bindings, keys_of
from app.inspection import (
    Inspection,
    columns,
    inspect_policy,
    inspect_signals,
    length_words,
    sections_of,
    tokens_words,
)
from app.policy_buffers import Buffer
from app.screens.policy_cases import PolicyCases
from app.widgets.bars import KeyBar, TopBar
from app.widgets.code_editor import CodeEditor, Mark, Severity
from app.widgets.colouring import policy_colours, signals_colours
from app.widgets.find_bar import FindBar
from app.widgets.policy_panel import PolicyPanel
from app.widgets.policy_tree import Leaf, Part, PolicyTree
from app.widgets.row_list import RowList
from engine.models.counting import TokenCount, TokenCounter
from engine.policies import lint
from engine.policies.lint import LintFinding, apply_fix
from engine.policies.load import TEXT_NAME, PolicyCase, PolicyError, policy_names
from engine.policies.signals import SHARED_NAME
from engine.policies.tokens import TOKEN_BAND
from engine.tracker.policy_records import PolicyFileVersion
from engine.workshop.versions import files_of, texts_there

_WIDE, _SHORT = 132, 30
_INSPECT_S = 0.12
_KEYS = keys_of(Where.POLICIES)


class PolicyText(CodeEditor):
    """The editor of one file; the keys of the pane reach the pane."""

    HELD_FATE = "kept in full"

    class Asked(Message):
        """A key asks for an action of the registry."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    async def _on_key(self, event: events.Key) -> None:
        if event.key in _KEYS:
            event.stop()
            event.prevent_default()
            self.post_message(self.Asked(_KEYS[event.key]))


class PoliciesScreen(PolicyCases):
    """The policies on the left, the text of one in the middle, what comes of it beside or below it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.POLICIES), *bindings(Where.POLICY_PARTS)]
    AUTO_FOCUS = "#policies"
    HELP_PLACES = (Where.POLICIES, Where.POLICY_PARTS, Where.FIND, Where.EVERYWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("policies")
        self.tree_ = PolicyTree(id="policies", empty="No policies.")
        self.find = FindBar()
        self.measure = Static(id="measure")
        self.panel = PolicyPanel()
        self.key_bar = KeyBar()
        self.names: tuple[str, ...] = ()
        self.file = ""
        self.inspections: dict[str, Inspection] = {}
        self._editors: dict[str, PolicyText] = {}
        self._versions: Mapping[str, int] = {}
        self._counts: Mapping[str, TokenCount] = {}
        self._counter: TokenCounter | None = None
        self._inspecting: Timer | None = None
        self._begun = False

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

    # --- opening -------------------------------------------------------------------------------------

    async def open_policy(self, name: str, part: Part = Part.TEXT) -> None:
        """Open a policy: its text, its cases, and what is known of them."""
        if name != self.policy:
            self.do_stop()
            self.policy, self.base = name, None
            await self.load_cases()
        await self.open_file(f"{name}/{part.value}")
        if self.live and not self.trial.after:
            self.run_trial()

    async def open_file(self, file: str) -> None:
        """Show a file in the editor."""
        buffer = await asyncio.to_thread(self.buffers.open, file)
        editor = self._editors.get(file)
        if editor is None:
            editor = self._editors[file] = PolicyText(
                buffer.file,
                id=f"text-{len(self._editors)}",
                placeholder="This file is empty, or not there yet.",
                colouring=policy_colours if file.endswith(TEXT_NAME) else signals_colours,
            )
            await self.query_one("#texts").mount(editor)
            self._put(buffer, editor)
        self.file = file
        for each, other in self._editors.items():
            other.display = each == file
        self.find.attach(editor)
        if buffer.fault:
            self.tell_of_files(buffer.fault)
        self._show_tree()
        self.show_settings()
        self._show_inspection()
        self._inspect_soon()

    @property
    def buffer(self) -> Buffer | None:
        """The file that is shown."""
        return self.buffers.get(self.file)

    @property
    def editor(self) -> PolicyText | None:
        """The editor that is shown."""
        return self._editors.get(self.file)

    def value_of(self, buffer: Buffer) -> str:
        editor = self._editors.get(buffer.file)
        return buffer.text if editor is None or buffer.fault else editor.value

    def put(self, buffer: Buffer) -> None:
        editor = self._editors.get(buffer.file)
        if editor is not None:
            self._put(buffer, editor)
            self.run_soon()

    def _put(self, buffer: Buffer, editor: PolicyText) -> None:
        if buffer.fault or not editor.value:
            editor.value = buffer.text
        else:
            editor.replace_text(buffer.text)
        editor.read_only = editor.held or bool(buffer.fault)

    @on(RowList.Opened, "#policies")
    async def _opened(self, event: RowList.Opened) -> None:
        leaf = event.rows.row
        if not isinstance(leaf, Leaf):
            return
        match leaf.part:
            case Part.SHARED:
                await self.open_file(SHARED_NAME)
                self._focus_text()
            case Part.CASES:
                await self.open_policy(leaf.policy, self._part_shown)
                self.panel.choose("cases")
                self.panel.focus_view()
            case Part.VERSIONS:
                self.wizard.act("show_versions")
            case Part.POLICY:
                await self.open_policy(leaf.policy)
                self._focus_text()
            case _:
                await self.open_policy(leaf.policy, leaf.part)
                self._focus_text()

    @property
    def _part_shown(self) -> Part:
        return Part.SIGNALS if self.file.endswith(Part.SIGNALS.value) else Part.TEXT

    def _focus_text(self) -> None:
        if self.editor is not None:
            self.editor.focus()

    def _show_tree(self) -> None:
        self.tree_.show(list(self._leaves()))

    def _leaves(self) -> Iterable[Leaf]:
        for name in self.names:
            tokens = self._counts.get(name)
            says = "" if tokens is None else f"{tokens.tokens:,}"
            trouble = self._out_of_band(name)
            yield Leaf(name, Part.POLICY, name, says, dirty=self._dirty(name), troubled=trouble)
            if name == self.policy:
                for part in (Part.TEXT, Part.SIGNALS):
                    buffer = self.buffers.get(f"{name}/{part.value}")
                    dirty = buffer is not None and buffer.dirty
                    yield Leaf(name, part, part.value, dirty=dirty)
                yield Leaf(name, Part.CASES, "cases", f"{len(self.cases):,}", troubled=bool(self.cases_fault))
                versions = sum(self._versions.get(file, 0) for file in files_of(name))
                yield Leaf(name, Part.VERSIONS, "versions", f"{versions:,}")
        shared = self.buffers.get(SHARED_NAME)
        yield Leaf("", Part.SHARED, SHARED_NAME, dirty=shared is not None and shared.dirty)

    def _dirty(self, name: str) -> bool:
        return name != self.policy and any(buffer.policy == name for buffer in self.buffers.dirty)

    def _out_of_band(self, name: str) -> bool:
        count = self._counts.get(name)
        return count is not None and not TOKEN_BAND[0] <= count.tokens <= TOKEN_BAND[1]

    # --- typing --------------------------------------------------------------------------------------

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        file = next((file for file, editor in self._editors.items() if editor is event.text_area), None)
        buffer = None if file is None else self.buffers.get(file)
        if buffer is None or buffer.fault:
            return
        text = self._editors[buffer.file].value
        if text == buffer.text:
            return
        was_dirty, buffer.text = buffer.dirty, text
        self.typed(buffer)
        self._inspect_soon()
        self.run_soon()
        if was_dirty != buffer.dirty:
            self._show_tree()
            self._show_measure()
            self.show_keys()

    @on(PolicyText.Asked)
    def _asked(self, event: PolicyText.Asked) -> None:
        self.wizard.act(event.action)

    @on(CodeEditor.Held)
    def _held(self) -> None:
        self.app.notify("This text is too large to edit here: ctrl+e opens it in your own editor.", timeout=4)

    # --- what is wrong with it, and how long it is ---------------------------------------------------

    def _inspect_soon(self) -> None:
        if self._inspecting is not None:
            self._inspecting.stop()
        self._inspecting = self.set_timer(_INSPECT_S, self._inspect)

    def _inspect(self) -> None:
        self.run_worker(self._look_at_text(), group="inspect", exclusive=True)

    async def _look_at_text(self) -> None:
        buffer = self.buffer
        if buffer is None:
            return
        texts = self.buffers.texts()
        text, saved = buffer.text, buffer.disk.text
        if buffer.file.endswith(TEXT_NAME):
            looked = await asyncio.to_thread(inspect_policy, text, saved)
        else:
            fault = await self.signals_fault(buffer.policy or None, {**texts, buffer.file: text})
            looked = await asyncio.to_thread(inspect_signals, text, saved, fault)
        self.inspections[buffer.file] = looked
        self._show_inspection()
        await self._count(texts)

    async def _count(self, texts: Mapping[str, str]) -> None:
        """Count all policies' tokens, by the model that is chosen if it can."""
        names, folder = self.names, self.folder
        there = await asyncio.to_thread(texts_there, folder, names)
        policies = {name: (there | dict(texts)).get(f"{name}/{TEXT_NAME}", "") for name in names}
        spec = self.choice.model_spec if self.choice.needs_model else None
        counts = await self.wizard.guards.run(self._counted(spec, list(policies.values())))
        self._counts = dict(zip(policies, counts, strict=True))
        self._show_tree()
        self._show_measure()

    async def _counted(self, spec: str | None, texts: Sequence[str]) -> list[TokenCount]:
        """Run on the guards' thread."""
        if self._counter is None:
            self._counter = TokenCounter()
            self.wizard.guards.at_end(self._counter.aclose)
        return await self._counter.count(spec, texts)

    def judge_chosen(self) -> None:
        self._inspect_soon()

    def _show_inspection(self) -> None:
        looked = self.inspections.get(self.file)
        editor = self.editor
        if looked is None or editor is None:
            return
        if looked.text == editor.value:
            editor.show_marks(marks_of(looked))
            editor.show_changed(looked.changed)
        self.panel.show_findings(looked.findings)
        self._show_measure()
        self.show_keys()

    def _show_measure(self) -> None:
        buffer, looked = self.buffer, self.inspections.get(self.file)
        if buffer is None:
            return
        said = [Content.styled("● not saved", "bold $text-warning") if buffer.dirty else Content("✓ saved")]
        count = self._counts.get(buffer.policy)
        if buffer.file.endswith(TEXT_NAME) and count is not None:
            style = "" if TOKEN_BAND[0] <= count.tokens <= TOKEN_BAND[1] else "bold $text-error"
            said.append(Content.styled(length_words(count, TOKEN_BAND), style))
            said.append(
                Content.styled(
                    f"all {len(self._counts)}: {tokens_words(list(self._counts.values()))}", "$text-muted"
                )
            )
        if looked is not None:
            number = len(looked.findings)
            found = "✓ no findings" if not number else f"! {number} finding{'s' if number > 1 else ''}"
            said.append(Content.styled(found, "bold $text-warning" if number else ""))
        self.measure.update(Content("  ").join(said))

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
        if await self.save(buffer) and self.watching:
            self.run_trial()

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
            case "save_text" if buffer is not None and not buffer.dirty:
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


def marks_of(looked: Inspection) -> dict[int, Mark]:
    """Return what is marked of each line in which something was found."""
    marks: dict[int, Mark] = {}
    for finding in looked.findings:
        earlier = marks.get(finding.line)
        grave = finding.severity is lint.Severity.ERROR
        grave = grave or (earlier is not None and earlier.severity is Severity.ERROR)
        span = columns(finding, looked.text)
        spans = (() if earlier is None else earlier.spans) + (() if span is None else (span,))
        marks[finding.line] = Mark(Severity.ERROR if grave else Severity.WARNING, spans)
    return marks


_NEEDS_TEXT = frozenset(
    ("save_text", "find", "replace", "edit_outside", "go_to_section", "next_finding", "mend_finding")
)
