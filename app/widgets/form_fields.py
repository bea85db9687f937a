"""The fields of a form: a title, what one types or chooses, and below it what it is, or what is wrong."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from app.safe_text import one_line
from app.widgets.safe_input import SafeInput

_TITLE = 14
_SAYS = 200
_LONGEST = 100_000


class Picker(Widget, can_focus=True):
    """One of a few words, all in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "move(1)", show=False),
        Binding("left", "move(-1)", show=False),
    ]

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, choices: tuple[str, ...], chosen: str) -> None:
        super().__init__()
        self._choices = choices
        self._chosen = choices.index(chosen) if chosen in choices else 0

    @property
    def value(self) -> str:
        """The word chosen."""
        return self._choices[self._chosen]

    def action_move(self, by: int) -> None:
        self.action_choose((self._chosen + by) % len(self._choices))

    def action_choose(self, index: int) -> None:
        if index != self._chosen:
            self._chosen = index
            self.refresh()
            self.post_message(self.Changed())

    def render(self) -> Content:
        return Content("  ").join(self._word(index) for index in range(len(self._choices)))

    def _word(self, index: int) -> Content:
        word = one_line(self._choices[index], _TITLE * 2) or "–"
        if index == self._chosen:
            return Content.styled(f"● {word}", "bold $text-primary reverse" if self.has_focus else "bold")
        return Content.styled(f"○ {word}", "$text-muted").stylize(
            Style.from_meta({"@click": f"choose({index})"})
        )


class FormField(Widget):
    """A field; ``key`` tells it from others. It asks for one of ``choices``, or, without any, for a text."""

    class Changed(Message):
        """What is in it has changed."""

        def __init__(self, field: FormField) -> None:
            super().__init__()
            self.field = field

    def __init__(
        self,
        key: str,
        title: str,
        description: str,
        *,
        value: str = "",
        required: bool = False,
        choices: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.key = key
        self.title = title
        self._description = description
        self._required = required
        self.input: SafeInput | None = None
        self.picker: Picker | None = None
        if choices:
            self.picker = Picker(choices, value)
        else:
            self.input = SafeInput(id=f"answer-{key.replace('.', '-')}", placeholder="")
            self.input.max_length = _LONGEST
            self.input.value = value
            self.input.select_on_focus = False
        self._told = Static(classes="told")

    def compose(self) -> ComposeResult:
        with Horizontal(classes="answer"):
            mark = Content.styled(" *", "$text-accent") if self._required else Content("")
            yield Static(Content.assemble((one_line(self.title, _TITLE), "bold"), mark), classes="title")
            yield self.asked
        yield self._told

    def on_mount(self) -> None:
        self.tell("")

    @property
    def asked(self) -> Widget:
        """What takes the keys."""
        widget = self.picker or self.input
        assert widget is not None
        return widget

    @property
    def value(self) -> str:
        """What is typed or chosen."""
        if self.picker is not None:
            return self.picker.value
        assert self.input is not None
        return self.input.value

    @value.setter
    def value(self, value: str) -> None:
        assert self.input is not None
        self.input.value = value

    def describe(self, description: str) -> None:
        """Say what it is, anew."""
        self._description = description
        self.tell("")

    def tell(self, fault: str) -> None:
        """Say what is wrong with it; where nothing is, what it is."""
        if fault:
            self._told.update(Content.styled(f"! {one_line(fault, _SAYS)}", "$text-warning"))
        else:
            self._told.update(Content.styled(one_line(self._description, _SAYS), "$text-muted"))

    @on(SafeInput.Changed)
    @on(Picker.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        if event.widget is not self.asked:
            self.asked.focus()
