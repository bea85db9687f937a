"""The groups of the queue: how many jobs of each may run at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line
from app.widgets.bars import KeyBar
from app.widgets.pick_list import PickList
from engine.jobs.records import Group

_NAME = 30
_LOOK_S = 0.5

Read = Callable[[], Awaitable[Sequence[Group] | None]]
Limit = Callable[[str, int], Awaitable[None]]


class GroupsScreen(ModalScreen[None]):
    """Shows the groups and sets their limits as one presses: ``read`` gives them, ``limit`` sets one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.GROUPS),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    HELP_PLACES = (Where.GROUPS, Where.EVERYWHERE)

    def __init__(self, read: Read, limit: Limit, present: str) -> None:
        super().__init__()
        self._read = read
        self._limit = limit
        self._present = present
        self._groups: Sequence[Group] = ()
        self._before_hold: dict[str, int] = {}
        self._storing = 0
        self._list = PickList(id="groups")
        self._key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Groups"
            head = f"  {'Group':{_NAME}}  {'At once':>9}  {'Under way':>10}  {'Waiting':>9}"
            yield Static(Content.styled(head, "$text-muted"))
            yield self._list
            told = "A group that is held starts nothing; what is under way goes on."
            yield Static(Content.styled(told, "$text-muted"), id="how-to")
            yield self._key_bar

    def on_mount(self) -> None:
        self._key_bar.show(actions(Where.GROUPS))
        self._list.remark = "Loading…"
        self._list.styles.height = 1
        self._look()
        self.set_interval(_LOOK_S, self._look)

    def _look(self) -> None:
        self.run_worker(self._take_in(), group="groups", exclusive=True)

    async def _take_in(self) -> None:
        groups = await self._read()
        if groups is None or self._storing:
            return
        chosen = self._chosen.name if self._chosen else self._present
        self._groups = groups
        names = [group.name for group in groups]
        self._list.chosen = names.index(chosen) if chosen in names else 0
        self._list.styles.height = max(min(len(groups), 14), 1)
        self._list.show([_row(group) for group in groups], remark="No group has a job or a limit.")

    @property
    def _chosen(self) -> Group | None:
        return self._groups[self._list.chosen] if self._groups else None

    def do_more_at_once(self) -> None:
        self._change(1)

    def do_fewer_at_once(self) -> None:
        self._change(-1)

    def _change(self, by: int) -> None:
        group = self._chosen
        if group is not None:
            self._set(group, max(group.at_once + by, 0))

    def do_hold_group(self) -> None:
        group = self._chosen
        if group is None:
            return
        if group.at_once:
            self._before_hold[group.name] = group.at_once
        self._set(group, 0 if group.at_once else self._before_hold.get(group.name, 1))

    def _set(self, group: Group, at_once: int) -> None:
        changed = Group(group.name, at_once, group.queued, group.active)
        self._groups = [changed if each.name == group.name else each for each in self._groups]
        self._list.show([_row(each) for each in self._groups])
        self._storing += 1
        self.run_worker(self._store(group.name, at_once))

    async def _store(self, name: str, at_once: int) -> None:
        try:
            await self._limit(name, at_once)
        finally:
            self._storing -= 1
        self._look()

    def do_close(self) -> None:
        self.dismiss()

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name in ("more_at_once", "fewer_at_once", "hold_group"):
            group = self._chosen
            if group is None:
                return "There is no group."
            if name == "fewer_at_once" and not group.at_once:
                return "It is held: none of its jobs starts."
        return None

    def action_move(self, by: int) -> None:
        self._list.move(by)


def _row(group: Group) -> Content:
    limit = "‖ held" if group.at_once == 0 else f"{group.at_once:,}"
    return Content.assemble(
        f"  {one_line(group.name, _NAME):{_NAME}}  ",
        (f"{limit:>9}", "bold $text-warning" if group.at_once == 0 else "bold"),
        (f"  {group.active:>10,}  {group.queued:>9,}", "$text-muted"),
    )
