"""The texts of the policies pane: which are open, what is wrong with them, and how long they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from textual import on
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static, TextArea

from app.inspection import (
    Inspection,
    columns,
    inspect_policy,
    inspect_signals,
    length_words,
    tokens_words,
)
from app.policy_buffers import Buffer
from app.screens.policy_cases import PolicyCases
from app.widgets.bars import KeyBar, TopBar
from app.widgets.code_editor import CodeEditor, Mark, Severity
from app.widgets.colouring import policy_colours, signals_colours
from app.widgets.find_bar import FindBar
from app.widgets.policy_panel import PolicyPanel
from app.widgets.policy_text import PolicyText
from app.widgets.policy_tree import Leaf, Part, PolicyTree
from app.widgets.row_list import RowList
from engine.models.counting import TokenCount, TokenCounter
from engine.policies import findings
from engine.policies.load import TEXT_NAME
from engine.policies.signals import SHARED_NAME
from engine.policies.tokens import TOKEN_BAND
from engine.workshop.versions import files_of, texts_there

_INSPECT_S = 0.12


class PolicyTexts(PolicyCases):
    """Opens policies and their files, and looks at what is typed in them."""

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
        self._measured = Content("")
        self._seen_texts: dict[str, str] = {}
        self._seen_dirty: set[str] = set()
        self._begun = False

    def show_keys(self) -> None:
        """Show the keys that work now."""

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
        buffer.text = self._editors[buffer.file].value
        if self._seen_texts.get(buffer.file) == buffer.text:
            return
        self._seen_texts[buffer.file] = buffer.text
        self.typed(buffer)
        self._inspect_soon()
        self.run_soon()
        dirty = {each.file for each in self.buffers.dirty}
        if dirty != self._seen_dirty:
            self._seen_dirty = dirty
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
        measured = Content("  ").join(said)
        if measured != self._measured:
            self._measured = measured
            self.measure.update(measured, layout=False)


def marks_of(looked: Inspection) -> dict[int, Mark]:
    """Return what is marked of each line in which something was found."""
    marks: dict[int, Mark] = {}
    for finding in looked.findings:
        earlier = marks.get(finding.line)
        grave = finding.severity is findings.Severity.ERROR
        grave = grave or (earlier is not None and earlier.severity is Severity.ERROR)
        span = columns(finding, looked.text)
        spans = (() if earlier is None else earlier.spans) + (() if span is None else (span,))
        marks[finding.line] = Mark(Severity.ERROR if grave else Severity.WARNING, spans)
    return marks
