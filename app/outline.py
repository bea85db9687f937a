"""What a model that does the three tasks has written so far: its steps, labels and format faults.

Fed with the events of one output. Knows nothing of screens; nothing in it is made safe to display.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

from app.pace import Pace
from app.wording import LANE_TITLES, OUTPUT_LANE, REASONING, TASK_TITLES, WAITING, label_words, task_words
from engine.cases import Task, TaskFinding
from engine.evaluation.parse import OutputParser, Said, StepBegan, TaskBegan
from engine.events import (
    Event,
    FormatFault,
    LabelParsed,
    LaneStarted,
    OutputFinished,
    ReasoningDelta,
    StepStarted,
    TaskFinished,
    UsageReported,
)

_HEADING_TOKENS = 4
"""About as many tokens as "## Reasoning Step 1" has: a heading is told as one event."""


@dataclass(slots=True)
class Section:
    """What stands under one heading: a step. ``title`` None: it stands before the first heading."""

    step: int | None = None
    title: str | None = None
    pieces: list[str] = field(default_factory=list)
    faults: int = 0


@dataclass(slots=True)
class Branch:
    """What was written of one task, or of none. ``faults`` counts those of its sections too."""

    name: str
    began: bool = False
    sections: list[Section] = field(default_factory=list)
    faults: int = 0

    @property
    def title(self) -> str:
        return LANE_TITLES.get(self.name, self.name)

    @property
    def reasoning(self) -> str:
        """All that was written, as plain text for the clipboard."""
        return "\n\n".join([f"# {self.title}", *map(_plain, self.sections)])

    def say(self, text: str) -> None:
        """Add to the last section; blank text does not begin one."""
        if not self.sections:
            if not text.strip():
                return
            self.sections.append(Section())
        self.sections[-1].pieces.append(text)


@dataclass(slots=True)
class TaskBranch(Branch):
    """A task. Its label is provisional until there is a ``finding``.

    ``label`` is what the answers state as they stand, None if nothing that is a label. ``ended`` is what to
    say of a task that no finding will come for.
    """

    label: str | None = None
    taken_back: bool = False
    finding: TaskFinding | None = None
    ended: str = ""

    @property
    def title(self) -> str:
        return TASK_TITLES[Task(self.name)]

    @property
    def words(self) -> str:
        """How the task stands, with a glyph. What begins with an ellipsis may yet change."""
        if self.finding is not None:
            return task_words(self.finding)
        if self.label is not None:
            said = label_words(self.label)[2:]
            return f"{self.ended[0]} {said}, not final" if self.ended else f"… {said} so far"
        if self.ended:
            return self.ended
        return "… taken back" if self.taken_back else REASONING if self.began else WAITING

    def state(self, label: str | None) -> None:
        """Take in what an answer line states. None takes an earlier label back."""
        self.taken_back = label is None and (self.taken_back or self.label is not None)
        self.label = label


@dataclass(slots=True)
class Outline(Pace):
    """An output as a tree: tasks, which are there from the beginning, and their sections.

    ``places`` says of each fault where it belongs. ``raw`` is all that the model wrote, None until it has
    ended.
    """

    branches: dict[str, Branch] = field(
        default_factory=lambda: {task.value: TaskBranch(task.value) for task in Task}
    )
    faults: list[FormatFault] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    raw: str | None = None
    _writing: str | None = None
    _placed: int = 0

    @property
    def tasks(self) -> list[TaskBranch]:
        return [branch for branch in self.branches.values() if isinstance(branch, TaskBranch)]

    @property
    def labelled(self) -> int:
        """The number of tasks that a label stands for, or that are settled without one."""
        return sum(task.label is not None or task.finding is not None for task in self.tasks)

    @property
    def reasoning(self) -> str:
        """All that was written under headings, as plain text for the clipboard."""
        return "\n\n".join(branch.reasoning for branch in self.branches.values() if branch.sections)

    def apply(self, event: Event) -> None:
        """Take in the next event of the output; others mean nothing here."""
        match event:
            case LaneStarted():
                self._write(event.lane)
            case StepStarted():
                self._wrote(event.at_ms, len(event.title.split()) + _HEADING_TOKENS)
                self._write(event.lane).sections.append(Section(event.step, event.title))
            case ReasoningDelta():
                self._wrote(event.at_ms)
                self._write(event.lane).say(event.text)
            case LabelParsed():
                for task in self.tasks:
                    if task.name == event.task:
                        task.state(event.label)
            case FormatFault():
                self.faults.append(event)
                self.places.append("")
                return
            case OutputFinished():
                self.raw = event.text
                self.finished_ms = event.at_ms
                self._mark_all(event.text)
            case UsageReported():
                self.tokens = event.usage.completion_tokens or None
            case TaskFinished():
                self.finish(event.finding)
            case _:
                pass
        # A fault in a heading is told before the heading is.
        self._place_new()

    def finish(self, finding: TaskFinding) -> None:
        """Take in what is finally said of a task."""
        for task in self.tasks:
            if task.name == finding.task:
                task.finding = finding

    def stop(self, words: str) -> None:
        """Say ``words`` of the tasks that have no finding: none will come."""
        for task in self.tasks:
            task.ended = words

    def _write(self, name: str) -> Branch:
        """Return the branch that is now being written in."""
        if name not in self.branches:
            # What belongs to no task comes before them.
            self.branches = {name: Branch(name), **self.branches}
        self._writing = name
        branch = self.branches[name]
        branch.began = True
        return branch

    def _wrote(self, at_ms: float, pieces: int = 1) -> None:
        self.first_ms = at_ms if self.first_ms is None else self.first_ms
        self.deltas += pieces

    # --- where faults belong -------------------------------------------------------------------------

    def _place_new(self) -> None:
        """Mark new faults where the model is writing."""
        for fault in range(self._placed, len(self.faults)):
            if self._writing is not None:
                branch = self.branches[self._writing]
                self._mark(fault, branch, len(branch.sections))
        self._placed = len(self.faults)

    def _mark_all(self, raw: str) -> None:
        """Mark where the faults belong, once that can be told from the whole output."""
        for branch in self.branches.values():
            branch.faults = 0
            for section in branch.sections:
                section.faults = 0
        self.places = [""] * len(self.faults)
        self._placed = len(self.faults)
        starts, places = section_map(raw)
        for index, fault in enumerate(self.faults):
            if fault.text and (found := bisect_right(starts, fault.start)):
                name, sections = places[found - 1]
                if name in self.branches:
                    self._mark(index, self.branches[name], sections)

    def _mark(self, fault: int, branch: Branch, sections: int) -> None:
        """Mark a fault in the last of the first ``sections`` of a branch; 0: in the branch alone."""
        branch.faults += 1
        self.places[fault] = branch.title
        if 0 < sections <= len(branch.sections):
            section = branch.sections[sections - 1]
            section.faults += 1
            self.places[fault] = ", ".join(filter(None, [branch.title, _heading(section)]))


def section_map(raw: str) -> tuple[list[int], list[tuple[str, int]]]:
    """Return where each line of an output starts, and after it: its branch and that branch's sections."""
    parser = OutputParser()
    sections: Counter[str] = Counter()
    name, at = OUTPUT_LANE, 0
    starts: list[int] = []
    places: list[tuple[str, int]] = []
    for line in raw.split("\n"):
        for part in parser.feed(line + "\n"):
            match part:
                case TaskBegan(task):
                    name = task.value
                case StepBegan(task=task):
                    name = task.value if task else OUTPUT_LANE
                    sections[name] += 1
                case Said(task, text) if text.strip():
                    name = task.value if task else OUTPUT_LANE
                    sections[name] = sections[name] or 1
                case _:
                    pass
        starts.append(at)
        places.append((name, sections[name]))
        at += len(line) + 1
    return starts, places


def _heading(section: Section) -> str:
    return section.title or "" if section.step is None else f"step {section.step}"


def _plain(section: Section) -> str:
    title = f"{'' if section.step is None else f'{section.step}. '}{section.title or ''}".strip()
    return "\n".join(part for part in (title, "".join(section.pieces).strip()) if part)
