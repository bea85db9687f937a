"""What comes of a policy's text: what is wrong with it, what becomes of its cases, one of them in full."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from app.safe_text import visible
from app.trial_state import TrialState
from app.trial_words import trial_line
from app.widgets.case_table import CaseTable
from app.widgets.filter_input import FilterInput
from app.widgets.finding_list import FindingList
from app.widgets.outcome_view import OutcomeView, Seen
from app.widgets.row_list import RowList
from engine.policies.lint import LintFinding
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip

VIEWS = {"findings": "Findings", "cases": "Cases", "case": "Case"}


class PolicyPanel(Widget):
    """Shows one view; how the trial stands is above all of them."""

    class Changed(Message):
        """What can be done here may have changed."""

    def __init__(self) -> None:
        super().__init__(id="panel")
        self.present = "cases"
        self.clear_text = False
        self.tabs = Static(id="tabs")
        self.standing = Static(id="standing")
        self.remark = Static(id="remark")
        self.findings = FindingList(id="findings", empty="✓ Nothing is wrong with this text.")
        self.words = FilterInput("fail, flip, broke, undecided, v2, lang:de, signal:NAME, or words of a case")
        self.table = CaseTable(id="cases")
        self.outcome = OutcomeView(id="outcome")
        self._trial = TrialState()
        self._flips: dict[str, Flip] = {}
        self._lines: dict[Static, Content] = {}

    def compose(self) -> ComposeResult:
        yield self.tabs
        yield self.standing
        yield self.remark
        yield self.words
        with Container(id="views"):
            yield self.findings
            yield self.table
            yield self.outcome

    def on_mount(self) -> None:
        self.words.display = False
        self.choose(self.present)

    # --- views ---------------------------------------------------------------------------------------

    def choose(self, view: str) -> None:
        """Show a view."""
        self.present = view
        for name, widget in (("findings", self.findings), ("cases", self.table), ("case", self.outcome)):
            widget.display = name == view
        self._show_tabs()
        self._show_outcome()
        self.post_message(self.Changed())

    def next_view(self) -> None:
        """Show the next view."""
        views = list(VIEWS)
        self.choose(views[(views.index(self.present) + 1) % len(views)])

    def focus_view(self) -> None:
        """Give the keys to the view."""
        views: dict[str, Widget] = {"findings": self.findings, "cases": self.table, "case": self.outcome}
        views[self.present].focus()

    def _show_tabs(self) -> None:
        counts = {"findings": f" {self.findings.count}", "cases": f" {self.table.count:,}", "case": ""}
        tabs = []
        for name, title in VIEWS.items():
            words = f"{title}{counts[name]}"
            if name == self.present:
                tabs.append(Content.styled(f"[{words}]", "bold $text-primary"))
            else:
                click = Style.from_meta({"@click": f"app.act('show_{name}')"})
                tabs.append(Content.styled(f" {words} ", "$text-muted").stylize(click))
        self._put(self.tabs, Content(" ").join(tabs))

    def _put(self, line: Static, content: Content) -> None:
        """Show a content; the screen is laid out anew only if it takes another number of lines."""
        before = self._lines.get(line)
        if before != content:
            self._lines[line] = content
            line.update(content, layout=_height(before, line) != _height(content, line))

    # --- what is shown -------------------------------------------------------------------------------

    def show_findings(self, findings: Sequence[LintFinding]) -> None:
        """Show what is wrong with the text."""
        self.findings.show(findings)
        self._show_tabs()

    def show_trial(self, trial: TrialState, hindrance: str, aside: str) -> None:
        """Show how a trial stands; ``hindrance`` says why there is none, ``aside`` what it is not about."""
        self._flips = trial.flips() if trial.before else {}
        if trial.cases is not self._trial.cases:
            self.table.show_cases(trial.cases)
        self._trial = trial
        self.table.show_outcomes(trial.after, self._flips)
        if hindrance:
            why = visible(hindrance, keep_newlines=False)
            self._put(self.standing, Content.styled(why, "$text-warning"))
        else:
            self._put(self.standing, trial_line(trial, self._flips))
        said = " ".join(filter(None, (aside, trial.trouble and f"Outcomes are not kept: {trial.trouble}")))
        self.remark.display = bool(said)
        self._put(self.remark, Content.styled(f"ⓘ {visible(said, keep_newlines=False)}", "$text-muted"))
        self._show_tabs()
        self._show_outcome()

    def toggle_blur(self) -> None:
        """Show the texts of cases, or blur them."""
        self.clear_text = self.table.clear_text = not self.clear_text
        self.table.refresh()
        self._show_outcome()

    @property
    def case(self) -> PolicyCase | None:
        """The case chosen."""
        return self.table.case

    @on(RowList.Moved, "#cases")
    def _moved(self) -> None:
        self._show_outcome()
        self.post_message(self.Changed())

    def _show_outcome(self) -> None:
        """Show the case chosen, if that view is in sight and something of it is new."""
        case = self.case
        if self.present != "case":
            return
        if case is None:
            self.outcome.show(None)
            return
        key = case.case.key
        after, before = self._trial.after.get(key), self._trial.before.get(key)
        self.outcome.show(
            Seen(case, after, before, self._flips.get(key), self._trial.base, clear=self.clear_text)
        )

    # --- the filter ----------------------------------------------------------------------------------

    def filter_cases(self) -> None:
        """Begin to narrow the cases down."""
        self.choose("cases")
        self.words.open()

    @on(FilterInput.Asked)
    def _asked(self) -> None:
        self.table.filter(self.words.value)
        self._show_tabs()

    @on(FilterInput.Left)
    def _filtered(self) -> None:
        self.table.focus()


def _height(content: Content | None, line: Static) -> int:
    return content.get_height({}, line.size.width) if content is not None and line.size.width else 0
