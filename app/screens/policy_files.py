"""The files of the policies pane: open texts, saving, what others change, drafts, and an editor outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from textual.timer import Timer

from app.outside_editor import EditorFailed, chosen_editor, edit_outside
from app.policy_buffers import Buffer, Buffers, Found, Peeked
from app.screens.confirm import Answer, ConfirmScreen
from app.screens.live import LiveScreen
from engine.policies.files import ChangedOnDisk
from engine.policies.load import PolicyError
from engine.tracker import TrackerError
from engine.tracker.policy_records import VersionOrigin
from engine.workshop.drafts import FOLDER, Drafts, LeftDraft
from engine.workshop.versions import note_files

_DRAFT_S = 0.4
Result = TypeVar("Result")


class PolicyFiles(LiveScreen):
    """Keeps what is typed apart from what is saved. What touches a disk happens on other threads."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers = Buffers(Path())
        self._drafts: Drafts | None = None
        self._draft_timer: Timer | None = None
        self._undrafted: set[str] = set()
        self._drafted: set[str] = set()
        self._looking_at_files = False
        self._file_trouble = self._draft_trouble = ""
        self._discarded = False

    # --- what the pane makes of it -------------------------------------------------------------------

    def value_of(self, buffer: Buffer) -> str:
        """Return what the editor of a buffer holds."""
        return buffer.text

    def put(self, buffer: Buffer) -> None:
        """Have the editor of a buffer hold the buffer's text."""

    def files_changed(self) -> None:
        """Take note that something was saved, or has changed on the disk."""

    # --- opening and closing -------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of policies."""
        return self.wizard.workspace.policies

    def begin_files(self) -> None:
        """Begin to work on the folder of policies; offer what was left unsaved."""
        self.buffers = Buffers(self.folder)
        self._drafts = Drafts(self.wizard.workspace.db.parent / FOLDER)
        self._draft_timer = self.set_interval(_DRAFT_S, self._keep_drafts)
        self.begin_dialog(self._offer_drafts())

    def end_files(self) -> None:
        """Leave drafts of what was neither saved nor given up, so that it is offered again."""
        if self._drafts is None:
            return
        self.sync()
        if self.buffers.dirty and not self._discarded:
            for buffer in self.buffers.dirty:
                try:
                    self._drafts.keep(buffer.path, buffer.text, buffer.disk.sha256)
                except OSError:
                    continue  # the last draft that could be kept stays
            self._drafts.leave()
        else:
            self._drafts.close()

    @property
    def unsaved(self) -> Sequence[Buffer]:
        """What would be lost."""
        self.sync()
        return self.buffers.dirty

    def sync(self) -> None:
        """Have the buffers hold what their editors do: of the last keys they may not have heard yet."""
        for buffer in self.buffers:
            if not buffer.fault:
                buffer.text = self.value_of(buffer)

    def discard_all(self) -> None:
        """Give up all that is not saved: one leaves, and was asked."""
        self._discarded = True

    # --- drafts --------------------------------------------------------------------------------------

    def typed(self, buffer: Buffer) -> None:
        """Take note that the text of a buffer has changed."""
        self._undrafted.add(buffer.file)

    def _keep_drafts(self) -> None:
        if self._undrafted and not self._discarded:
            files, self._undrafted = self._undrafted, set()
            self.run_worker(self._write_drafts(files), group="drafts")

    async def _write_drafts(self, files: Iterable[str]) -> None:
        drafts = self._drafts
        assert drafts is not None
        for file in files:
            buffer = self.buffers.get(file)
            if buffer is None:
                continue
            try:
                if buffer.dirty:
                    keep = partial(drafts.keep, buffer.path, buffer.text, buffer.disk.sha256)
                    await asyncio.to_thread(keep)
                    self._drafted.add(file)
                elif file in self._drafted:
                    await asyncio.to_thread(drafts.discard, buffer.path)
                    self._drafted.discard(file)
            except OSError as error:
                self._undrafted.add(file)
                why = error.strerror or error
                self._tell_of_drafts(f"What is typed cannot be kept as a draft: {why}. Save it.")
                return
        self._tell_of_drafts("")

    async def _offer_drafts(self) -> None:
        drafts = self._drafts
        assert drafts is not None
        for left in await asyncio.to_thread(drafts.left_over):
            if not left.path.is_relative_to(self.folder.absolute()):
                continue
            await self._offer(drafts, left)

    async def _offer(self, drafts: Drafts, left: LeftDraft) -> None:
        file = left.path.relative_to(self.folder.absolute()).as_posix()
        buffer = await asyncio.to_thread(self.buffers.open, file)
        if left.text != buffer.disk.text:
            when = left.written_at.astimezone().strftime("%Y-%m-%d %H:%M")
            since = "" if left.over == buffer.disk.sha256 else " The file has changed since."
            answer = await self.app.push_screen_wait(
                ConfirmScreen(
                    f"{file}: not saved",
                    f"The program ended on {when} before this text was saved.{since}",
                    [
                        Answer("r", "Recover", "go on with the text; nothing is saved yet"),
                        Answer("d", "Discard", "delete it for good"),
                        Answer("l", "Later", "ask again at the next start"),
                    ],
                )
            )
            if answer not in ("r", "d"):
                return
            if answer == "r":
                buffer.text = left.text
                self.put(buffer)
                self.typed(buffer)
                await self._write_drafts([file])
        await asyncio.to_thread(drafts.forget, left.path)
        self.files_changed()

    # --- saving --------------------------------------------------------------------------------------

    async def save(self, buffer: Buffer, origin: VersionOrigin = VersionOrigin.SAVED) -> bool:
        """Save a buffer and record the version; return whether it is saved.

        Where somebody else has changed the file, ask first. What goes wrong is told, and nothing is lost.
        """
        buffer.text = text = self.value_of(buffer)
        try:
            buffer.saved(await asyncio.to_thread(buffer.write, text))
        except ChangedOnDisk:
            return await self._resolve(buffer)
        except PolicyError as error:
            self.tell_of_files(f"{error}")
            return False
        self.tell_of_files("")
        self.typed(buffer)
        self.files_changed()
        noted = await self._note({buffer.file: text}, origin)
        if noted:
            self.app.notify(f"{buffer.file} is saved.", timeout=2)
        return True

    async def _note(self, texts: dict[str, str], origin: VersionOrigin) -> bool:
        """Record versions; say where that fails."""
        try:
            await self.records.ask(lambda store: store.policies.note(texts, origin))
        except TrackerError as error:
            self.tell_of_files(f"It is saved, but not recorded as a version: {error}")
            return False
        return True

    async def note_all(self, names: Iterable[str]) -> None:
        """Record what is in the files now, by whomever it was written."""
        policies = list(names)
        folder = self.folder
        if self.records.read_only is None:
            await self.ask(lambda store: note_files(store.policies, folder, policies))

    # --- what others change --------------------------------------------------------------------------

    def look_at_files(self) -> None:
        """See whether somebody else has changed a file that is open."""
        if not self._looking_at_files and self.is_current:
            self._looking_at_files = True
            self.run_worker(self._look_at_files())

    async def _look_at_files(self) -> None:
        try:
            for buffer in list(self.buffers):
                peeked = await asyncio.to_thread(buffer.peek)
                if peeked is not None:
                    self._settle(buffer, peeked)
        finally:
            self._looking_at_files = False

    def _settle(self, buffer: Buffer, peeked: Peeked) -> None:
        if not buffer.fault:
            buffer.text = self.value_of(buffer)
        found = buffer.settle(peeked)
        if found is Found.SAME:
            return
        if found is Found.TAKE_OVER:
            self.put(buffer)
            if buffer.fault:
                self.tell_of_files(buffer.fault)
            else:
                self.app.notify(f"{buffer.file} was changed outside: the new text is shown.", timeout=4)
                self.run_worker(self._note({buffer.file: buffer.text}, VersionOrigin.FOUND))
        elif found is Found.CONFLICT:
            self.begin_dialog(self._ask_and_forget(buffer))
        else:
            self.tell_of_files(f"{buffer.path} is gone. Its text is still here: ctrl+s writes it again.")
        self.files_changed()

    async def _ask_and_forget(self, buffer: Buffer) -> None:
        await self._resolve(buffer)

    async def _resolve(self, buffer: Buffer) -> bool:
        """Ask which text is to stay; return whether the file holds what the editor holds then."""
        peeked = await asyncio.to_thread(partial(buffer.peek, anyway=True))
        assert peeked is not None
        buffer.settle(peeked)
        there = buffer.theirs is None or buffer.theirs.is_there
        fate = "has changed it too" if there else "has deleted it"
        answer = await self.app.push_screen_wait(
            ConfirmScreen(
                f"{buffer.file}: changed outside",
                f"You changed this text, and somebody else {fate} on the disk. Both are kept as versions.",
                [
                    Answer("m", "Mine", "save what is in the editor in place of theirs"),
                    Answer("t", "Theirs", "take the text of the file; undo brings yours back"),
                    Answer("c", "Compare", "see what differs, and decide after"),
                ],
            )
        )
        if answer == "c":
            await self._compare(buffer)
            return await self._resolve(buffer)
        if answer not in ("m", "t") or buffer.theirs is None:
            return False
        mine, other = self.value_of(buffer), buffer.theirs.text
        await self._note({buffer.file: other}, VersionOrigin.FOUND)
        if answer == "t":
            await self._note({buffer.file: mine}, VersionOrigin.SAVED)
            buffer.take_theirs()
            self.put(buffer)
            await self._note({buffer.file: other}, VersionOrigin.FOUND)
            self.typed(buffer)
            self.files_changed()
            return True
        buffer.keep_mine()
        return await self.save(buffer)

    async def _compare(self, buffer: Buffer) -> None:
        """Show what differs between the editor and the file."""

    # --- an editor outside ---------------------------------------------------------------------------

    def edit_outside(self, buffer: Buffer) -> None:
        """Hand the text to the person's own editor, and the terminal with it; take back what it leaves."""
        text = self.value_of(buffer)
        try:
            editor = chosen_editor()
            edited = self._without_screen(partial(edit_outside, text, buffer.path.name, editor))
        except EditorFailed as error:
            self.app.notify(str(error), severity="error", timeout=10)
            return
        if edited == text:
            self.app.notify("Nothing was changed there.", timeout=2)
            return
        buffer.text = edited
        self.put(buffer)
        self.typed(buffer)

    def _without_screen(self, work: Callable[[], Result]) -> Result:
        """Do work that needs the terminal for itself."""
        with self.app.suspend():
            return work()

    # --- trouble -------------------------------------------------------------------------------------

    def tell_of_files(self, text: str) -> None:
        """Say what is wrong with files, until it is set right."""
        self._file_trouble = text
        self.caught_up()

    def _tell_of_drafts(self, text: str) -> None:
        if text != self._draft_trouble:
            self._draft_trouble = text
            self.caught_up()

    def caught_up(self) -> None:
        super().caught_up()
        if told := self._file_trouble or self._draft_trouble:
            self._tell(f"! {told}")
