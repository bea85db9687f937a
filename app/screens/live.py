"""A screen over the tracker that keeps up with it while it is in front, and says when it cannot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from app.records import Records, Result, Store
from app.safe_text import visible

if TYPE_CHECKING:
    from app.wizard import WizardApp


class LiveScreen(Screen[None]):
    """Asks every ``LOOK_S`` seconds whether anything was committed, and calls `catch_up` if so.

    After a failure it tries again at every look, until `caught_up` is called.
    """

    LOOK_S: ClassVar[float] = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.trouble = Static(id="trouble")
        self._seen: int | None = None
        self._told_of = ""
        self._looking = False
        self._asking = False

    @property
    def wizard(self) -> WizardApp:
        return cast("WizardApp", self.app)

    @property
    def records(self) -> Records:
        return self.wizard.records

    async def prepare(self) -> None:
        """Do what every look begins with."""

    @abstractmethod
    async def catch_up(self) -> None:
        """Read anew what is shown; whatever it raises is told."""

    def caught_up(self) -> None:
        """Say that what is shown is what is there."""
        told = self.records.read_only or self.records.notice
        self._tell(f"ⓘ {told}" if told else "")

    def failed(self, error: Exception) -> None:
        """Say what went wrong, and try again at the next look."""
        self._seen = None
        self._tell(f"! {error}")

    def _tell(self, text: str) -> None:
        if text == self._told_of:
            return  # to say it again would have all of the screen laid out anew
        self._told_of = text
        self.trouble.display = bool(text)
        self.trouble.update(Content(visible(text)))

    async def ask(self, work: Callable[[Store], Result]) -> Result | None:
        """Do work on the tracker's thread. Where it fails, say why and return None."""
        try:
            return await self.records.ask(work)
        except Exception as error:
            self.failed(error)
            return None

    def begin_dialog(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what asks something in a dialog. Of a key that is pressed twice the second asks nothing."""
        if self._asking:
            work.close()
            return
        self._asking = True
        self.run_worker(self._have_asked(work))

    async def _have_asked(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._asking = False

    def on_mount(self) -> None:
        self.trouble.display = False
        self.set_interval(self.LOOK_S, self.look)

    def on_screen_resume(self) -> None:
        self.look()

    def look_anew(self) -> None:
        """Catch up though nothing was committed: something else is to be shown."""
        self._seen = None
        self.look()

    def look(self) -> None:
        """Catch up if anything was committed. Out of sight, nothing is asked."""
        if self.is_current and not self._looking:
            self._looking = True
            self.run_worker(self._look())

    async def _look(self) -> None:
        try:
            await self.prepare()
            version = await self.records.version()
            if version != self._seen:
                self._seen = version
                await self.catch_up()
        except Exception as error:
            self.failed(error)
        finally:
            self._looking = False
