"""The models there are: which answer now, why the rest do not, and how to get one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line, visible
from app.widgets.bars import KeyBar
from app.widgets.pick_list import PickList
from app.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from app.wizard import WizardApp
    from engine.models.discover import ModelOption

_SPEC = 44
_LOOK_AGAIN_S = 5.0
HOW_TO = (
    "Get one:  wizard101 models pull smollm2   a small one that runs without a server\n"
    "          ollama pull NAME                one for an Ollama server\n"
    "Or type:  ollama:NAME · gguf:FILE · hf:NAME · openai:URL#MODEL · fake:FILE\n"
    "          hf:yueliu1999/GuardReasoner-8B, -3B or -1B, the weights of GuardReasoner"
)


class ModelScreen(ModalScreen[str | None]):
    """Gives the spec of the model that was chosen or typed, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.MODELS),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    HELP_PLACES = (Where.MODELS, Where.EVERYWHERE)
    AUTO_FOCUS = "#spec"

    def __init__(
        self,
        find: Callable[[], Awaitable[Sequence[ModelOption]]],
        present: str | None,
        title: str = "Model",
    ) -> None:
        super().__init__()
        self._title = title
        self._find = find
        self._present = present
        self._options: list[ModelOption] = []
        self._spec = SafeInput(id="spec", placeholder="A model's spec, such as ollama:NAME; or choose below")
        self._list = PickList(id="models")
        self._detail = Static(id="detail")
        self._key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide") as dialog:
            dialog.border_title = self._title
            yield self._spec
            yield self._list
            yield self._detail
            yield Static(Content.styled(HOW_TO, "$text-muted"), id="how-to")
            yield self._key_bar

    def on_mount(self) -> None:
        self._list.remark = "Looking for models…"
        self._key_bar.show(actions(Where.MODELS))
        self.do_refresh_models()
        self.set_interval(_LOOK_AGAIN_S, self.do_refresh_models)

    def do_refresh_models(self) -> None:
        self.run_worker(self._look(), group="models", exclusive=True)

    async def _look(self) -> None:
        try:
            found = list(await self._find())
        except Exception as error:
            self._list.show(
                [], remark=visible(f"! Models cannot be looked for: {error}", keep_newlines=False)
            )
            return
        chosen = self._chosen.spec if self._chosen else self._present
        self._options = sorted(found, key=lambda option: not option.reachability.ok)
        specs = [option.spec for option in self._options]
        self._list.chosen = specs.index(chosen) if chosen in specs else 0
        self._show()

    def _show(self) -> None:
        self._list.show(
            [self._row(option) for option in self._options], remark="No model was found. See below."
        )
        self._show_detail()

    def _row(self, option: ModelOption) -> Content:
        ready = option.reachability.ok
        return Content.assemble(
            ("✔ ready   " if ready else "– absent  ", "bold $text-success" if ready else "$text-muted"),
            (f"{one_line(option.spec or option.label, _SPEC):{self._widest}}  ", "bold" if ready else ""),
            (one_line(option.reachability.detail, 200), "$text-muted"),
        )

    @property
    def _widest(self) -> int:
        return min(max(len(option.spec or option.label) for option in self._options), _SPEC)

    def _show_detail(self) -> None:
        option = self._chosen
        told = f"{option.reachability.detail}. {option.reachability.hint}" if option else ""
        self._detail.update(Content(visible(told, keep_newlines=False)))

    @property
    def _chosen(self) -> ModelOption | None:
        return self._options[self._list.chosen] if self._options else None

    def do_use_model(self) -> None:
        option = self._chosen
        self.dismiss(self._spec.value.strip() or (option.spec if option else None))

    def do_close(self) -> None:
        self.dismiss(None)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name != "use_model":
            return None
        if typed := self._spec.value.strip():
            return _why_no_spec(typed)
        option = self._chosen
        if option is None or not option.spec:
            return "Choose a model that is ready, or type a model's spec."
        reachability = option.reachability
        return None if reachability.ok else f"{reachability.detail} {reachability.hint}".strip()

    def action_move(self, by: int) -> None:
        self._list.move(by)
        self._show_detail()

    @on(SafeInput.Submitted)
    def _entered(self) -> None:
        cast("WizardApp", self.app).act("use_model")

    @on(PickList.Picked)
    def _picked(self) -> None:
        self._show_detail()


def _why_no_spec(text: str) -> str | None:
    from engine.models.registry import ModelSpecError, parse_spec

    try:
        parse_spec(text)
    except ModelSpecError as error:
        return str(error)
    return None
