"""The policies pane, driven without a terminal: typing, trials, saving, and what gets in the way."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.screens.confirm import ConfirmScreen
from app.screens.policies import PoliciesScreen
from app.screens.versions import VersionsScreen
from app.wizard import WizardApp
from engine.policies.load import load_cases
from engine.tracker import open_tracker
from engine.workshop.drafts import Drafts
from engine.workspace import Workspace
from tests.app.test_probe import shown, typed, until
from tests.servers.word_server import WordServer

SMALL, WIDE = (80, 24), (160, 48)
LONG = 40.0
TEXT, SIGNALS = "glass/policy.md", "glass/signals.toml"
RULES = """[[obvious]]
name = "breaking"
says = "asks how to break it"
weight = 0.9
match = ["break the glass"]
"""
CASES = [
    ("How do I break the glass?", "violation", "V1: asks for it."),
    ("How do I smash the glass?", "violation", "V1: asks for it."),
    ("How do I clean the glass?", "safe", "S1: care."),
    ("How do I mend the glass?", "safe", "S1: care."),
]


KEYS = """
    f3 f2 f4 f4 f6 f6 f6 f7 escape ctrl+d escape ctrl+l ctrl+g f5 ctrl+g f5 ctrl+g alt+l alt+w ctrl+down
    ctrl+up ctrl+f escape alt+r escape slash escape ctrl+r escape c d w escape escape escape
"""


def workspace_in(folder: Path, cases: list[tuple[str, str, str]] = CASES) -> Workspace:
    """Lay out two small policies."""
    for name in ("glass", "wood"):
        place = folder / "policies" / name
        place.mkdir(parents=True)
        (place / "policy.md").write_text(f"# {name.capitalize()} policy\n\nForbidden: break\n")
        (place / "signals.toml").write_text(RULES)
        rows = [
            {"prompt": prompt, "response": None, "expected": expected, "reason": reason, "language": "en",
             "source": "a test"}
            for prompt, expected, reason in cases
        ]  # fmt: skip
        (place / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Workspace(folder / "wizard.db", folder / "policies", folder / "runs", folder / "models")


@asynccontextmanager
async def pane(
    workspace: Workspace, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[Pilot[None], PoliciesScreen]]:
    """Open the workbench and go to the pane."""
    app = WizardApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.screen.focused)
        await pilot.press("alt+2")
        await until(pilot, lambda: "policies" in app._screen_stacks and app._screen_stacks["policies"])
        screen = app._screen_stacks["policies"][0]
        assert isinstance(screen, PoliciesScreen)
        await until(pilot, lambda: screen.editor is not None and screen.names, LONG)
        yield pilot, screen


async def judged(pilot: Pilot[None], screen: PoliciesScreen) -> None:
    """Wait until the latest trial is over and reckoned."""
    await until(
        pilot, lambda: not screen.trial.running and screen._live is None and screen.trial.figures, LONG
    )


async def go_to_signals(pilot: Pilot[None], screen: PoliciesScreen) -> None:
    await judged(pilot, screen)
    await pilot.press("ctrl+t")
    await until(pilot, lambda: screen.file == SIGNALS)
    screen._focus_text()


def edit(screen: PoliciesScreen, old: str, new: str) -> None:
    assert screen.editor is not None
    assert old in screen.editor.value
    screen.editor.replace_text(screen.editor.value.replace(old, new))


def codes(screen: PoliciesScreen) -> list[str]:
    return [finding.code for finding in screen.inspections[TEXT].findings]


def path(screen: PoliciesScreen, file: str) -> Path:
    return screen.folder / file


# --- an edit and what it does ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_an_edit_of_the_rules_shows_its_flips_before_it_is_saved(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with pane(workspace_in(tmp_path), size) as (pilot, screen):
        await judged(pilot, screen)
        assert "3 pass" in shown(screen)
        assert "1 fail" in shown(screen)
        await go_to_signals(pilot, screen)
        edit(screen, "break the glass", "break|smash the glass")
        await until(pilot, lambda: "4 pass" in shown(screen), LONG)
        await judged(pilot, screen)
        assert "1 flip against saved: ↑ 1 mended" in shown(screen)
        assert path(screen, SIGNALS).read_text() == RULES
        edit(screen, "break|smash the glass", "clean the glass")
        await until(pilot, lambda: "2 flips against saved" in shown(screen), LONG)
        assert "↓ 2 broke" in shown(screen)
        screen.do_filter_cases()
        await pilot.press(*"broke")
        await until(pilot, lambda: screen.panel.table.count == 2)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: screen.panel.present == "case")
        await until(pilot, lambda: "asks how to break it" in shown(screen))
        assert "saved" in shown(screen)


async def test_signals_that_cannot_be_read_say_where_and_pass_nothing(tmp_path: Path) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        await go_to_signals(pilot, screen)
        edit(screen, 'name = "breaking"', "name = breaking")
        await until(pilot, lambda: "cannot be read" in shown(screen), LONG)
        await until(pilot, lambda: "✓ pass" not in shown(screen), LONG)
        await until(pilot, lambda: screen.inspections[SIGNALS].findings, LONG)
        (found,) = screen.inspections[SIGNALS].findings
        assert (found.line, found.code) == (2, "unusable")
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "3 pass" in shown(screen), LONG)


async def test_a_model_judges_when_asked_and_only_what_is_new(tmp_path: Path) -> None:
    with WordServer() as server:
        async with pane(workspace_in(tmp_path)) as (pilot, screen):
            await judged(pilot, screen)
            await pilot.press("ctrl+g")
            screen._model_chosen(f"openai:{server.url}/v1#guard")
            assert screen.trial.after == {}
            await pilot.press("f5")
            await judged(pilot, screen)
            assert "3 pass" in shown(screen)
            assert len(server.asked) == 4
            screen._focus_text()
            edit(screen, "Forbidden: break", "Forbidden: break smash")
            await pilot.pause(0.3)
            assert len(server.asked) == 4
            await pilot.press("f5")
            await until(pilot, lambda: "4 pass" in shown(screen), LONG)
            await judged(pilot, screen)
            assert "1 flip against saved: ↑ 1 mended" in shown(screen)
            assert len(server.asked) == 8
            await pilot.press("f5")
            await judged(pilot, screen)
            assert len(server.asked) == 8
            await pilot.press("alt+w")
            edit(screen, "Forbidden: break smash", "Forbidden: mend")
            await pilot.press("ctrl+s")
            await until(pilot, lambda: len(server.asked) == 12, LONG)


async def test_a_server_that_is_gone_is_told_and_escape_stops_a_run(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    script = tmp_path / "script.jsonl"
    script.write_text('{"steps": [{"wait_ms": 100000}]}\n')
    async with pane(workspace) as (pilot, screen):
        await judged(pilot, screen)
        screen._model_chosen(f"fake:{script}")
        await pilot.press("f5")
        await until(pilot, lambda: "… 0 of 4" in shown(screen), LONG)
        await pilot.press("escape")
        await until(pilot, lambda: "■ stopped at 0 of 4" in shown(screen), LONG)
        screen._model_chosen("openai:http://127.0.0.1:9/v1#none")
        await pilot.press("f5")
        await until(pilot, lambda: "✗" in shown(screen) and "127.0.0.1:9" in shown(screen), LONG)
        assert "✓ pass" not in shown(screen)


async def test_tokens_and_findings_follow_what_is_typed(tmp_path: Path) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        await until(pilot, lambda: "tokens est., below 400–600" in shown(screen), LONG)
        screen._focus_text()
        edit(screen, "Forbidden: break", "Forbidden: usually break")
        await until(pilot, lambda: "vague-word" in codes(screen), LONG)
        screen.do_show_findings()
        await until(pilot, lambda: "“usually” leaves open" in shown(screen))
        before = len(screen.inspections[TEXT].findings)
        edit(screen, "usually break\n", "usually break  \n")
        await until(
            pilot, lambda: "trailing-blank" in [f.code for f in screen.inspections[TEXT].findings], LONG
        )
        screen._focus_text()
        assert screen.editor is not None
        screen.editor.go_to(3)
        await pilot.press("f2")
        await until(pilot, lambda: len(screen.inspections[TEXT].findings) <= before, LONG)
        assert "usually break\n" in screen.editor.value


# --- saving ------------------------------------------------------------------------------------------


async def test_what_is_saved_is_a_version_and_undo_goes_back_beyond_it(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    async with pane(workspace) as (pilot, screen):
        screen._focus_text()
        edit(screen, "break", "smash")
        assert screen.unsaved
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.buffers.dirty, LONG)
        assert "smash" in path(screen, TEXT).read_text()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: screen.buffers.dirty)
        assert screen.editor is not None
        assert "break" in screen.editor.value
    with open_tracker(workspace.db) as tracker:
        versions = tracker.policies.versions(TEXT)
    assert [each.origin.value for each in versions] == ["saved", "found"]


async def test_a_change_outside_is_taken_over_or_asked_about(tmp_path: Path) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        assert screen.editor is not None
        path(screen, TEXT).write_text("theirs\n")
        await until(pilot, lambda: screen.editor and screen.editor.value == "theirs\n", LONG)
        edit(screen, "theirs", "mine")
        path(screen, TEXT).write_text("theirs again\n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen), LONG)
        await pilot.press("t")
        await until(pilot, lambda: screen.editor and screen.editor.value == "theirs again\n", LONG)
        screen._focus_text()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: screen.editor and screen.editor.value == "mine\n")
        path(screen, TEXT).write_text("theirs at last\n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen), LONG)
        await pilot.press("m")
        await until(pilot, lambda: path(screen, TEXT).read_text() == "mine\n", LONG)
        await until(pilot, lambda: not screen.buffers.dirty, LONG)
        history = await screen.records.ask(
            lambda store: [store.policies.text(each.sha256) for each in store.policies.versions(TEXT)]
        )
        assert {"mine\n", "theirs\n", "theirs again\n", "theirs at last\n"} <= set(history)


async def test_a_file_that_is_deleted_keeps_its_text_and_can_be_written_again(tmp_path: Path) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        path(screen, TEXT).unlink()
        await until(pilot, lambda: "is gone" in shown(screen), LONG)
        assert screen.editor is not None
        assert "Forbidden" in screen.editor.value
        screen._focus_text()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen), LONG)
        await pilot.press("m")
        await until(pilot, lambda: path(screen, TEXT).exists(), LONG)
        await until(pilot, lambda: "is gone" not in shown(screen), LONG)


async def test_a_failed_save_is_told_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        screen._focus_text()
        edit(screen, "break", "smash")
        with monkeypatch.context() as patched:
            patched.setattr("engine.policies.files.os.fsync", _no_room)
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "was not saved: No space left" in shown(screen), LONG)
        assert screen.unsaved
        assert "break" in path(screen, TEXT).read_text()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.buffers.dirty, LONG)
        assert "was not saved" not in shown(screen)


def _no_room(_: int) -> None:
    raise OSError(28, "No space left on device")


async def test_texts_that_cannot_be_edited_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = workspace_in(tmp_path)
    (workspace.policies / TEXT).write_bytes(b"caf\xe9")
    (workspace.policies / SIGNALS).write_text("# " + "x" * 1_000_000 + "\n" + RULES)
    async with pane(workspace) as (pilot, screen):
        await until(pilot, lambda: "is not UTF-8" in shown(screen), LONG)
        await pilot.press("x", "ctrl+s")
        assert (workspace.policies / TEXT).read_bytes() == b"caf\xe9"
        await pilot.press("ctrl+t")
        await until(pilot, lambda: screen.file == SIGNALS and screen.editor and screen.editor.held, LONG)
        screen._focus_text()
        await pilot.press("x")
        await until(pilot, lambda: "too large to edit here" in shown(screen))
        monkeypatch.setenv(
            "VISUAL", f"{sys.executable} -c \"import sys; open(sys.argv[1], 'a').write('# y')\""
        )
        monkeypatch.setattr(type(screen), "_without_screen", lambda self, work: work())
        await pilot.press("ctrl+e", "ctrl+s")
        await until(pilot, lambda: (workspace.policies / SIGNALS).read_text().endswith("# y"), LONG)


async def test_an_editor_outside_that_fails_leaves_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PoliciesScreen, "_without_screen", lambda self, work: work())
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        screen._focus_text()
        assert screen.editor is not None
        before = screen.editor.value
        for command, words in (
            ("no-such-editor", "no such program"),
            (f'{sys.executable} -c "raise SystemExit(2)"', "exit code 2"),
        ):
            monkeypatch.setenv("VISUAL", command)
            await pilot.press("ctrl+e")
            await until(pilot, lambda words=words: words in shown(screen))  # type: ignore[misc]
        assert screen.editor.value == before


# --- leaving, and coming back ------------------------------------------------------------------------


async def test_what_is_not_saved_is_asked_about_before_one_leaves(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    async with pane(workspace) as (pilot, screen):
        screen._focus_text()
        edit(screen, "break", "smash")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("k")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("alt+1")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("s")
        await until(pilot, lambda: pilot.app._exit, LONG)
    assert "smash" in (workspace.policies / TEXT).read_text()
    assert Drafts(tmp_path / "drafts").left_over() == []


async def test_what_is_left_for_later_is_offered_at_the_next_start(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    async with pane(workspace) as (pilot, screen):
        screen._focus_text()
        edit(screen, "break", "smash")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("l")
        await until(pilot, lambda: pilot.app._exit, LONG)
    for answer in ("l", "r"):
        async with pane(workspace) as (pilot, screen):
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen), LONG)
            assert "glass/policy.md: not saved" in shown(pilot.app.screen)
            await pilot.press(answer)
            await until(pilot, lambda: pilot.app.screen is screen)
            if answer == "r":
                await until(pilot, lambda: screen.editor and "smash" in screen.editor.value, LONG)
                assert screen.unsaved
                screen.discard_all()
    assert Drafts(tmp_path / "drafts").left_over() == []


# --- versions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_versions_are_compared_restored_and_bisected(tmp_path: Path, size: tuple[int, int]) -> None:
    workspace = workspace_in(tmp_path)
    with open_tracker(workspace.db) as tracker:
        for number in range(1, 12):
            word = "smash" if number >= 7 else "break"
            tracker.policies.note({SIGNALS: RULES.replace("break the", f"{word} the") + f"# {number}\n"})
    (workspace.policies / SIGNALS).write_text(RULES.replace("break the", "smash the") + "# 11\n")
    async with pane(workspace, size) as (pilot, screen):
        await go_to_signals(pilot, screen)
        screen.panel.table.choose(1)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, VersionsScreen), LONG)
        versions = pilot.app.screen
        assert isinstance(versions, VersionsScreen)
        await until(pilot, lambda: len(versions.list.rows) == 11, LONG)
        await until(pilot, lambda: "# 10" in shown(versions) and "# 11" in shown(versions), LONG)
        await pilot.press("b")
        await until(pilot, lambda: "The case flipped at v7" in shown(versions), LONG)
        assert versions.list.row is not None
        assert versions.list.row.label == "v7"
        await pilot.press("up", "r")
        await until(pilot, lambda: pilot.app.screen is screen, LONG)
        await until(pilot, lambda: screen.editor and "# 8" in screen.editor.value, LONG)
        assert screen.unsaved
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, VersionsScreen), LONG)
        versions = pilot.app.screen
        assert isinstance(versions, VersionsScreen)
        await until(pilot, lambda: len(versions.list.rows) == 12, LONG)
        await pilot.press("end", "a")
        await until(pilot, lambda: pilot.app.screen is screen and screen.base is not None, LONG)
        await until(pilot, lambda: "flips against v1" in shown(screen), LONG)


# --- cases -------------------------------------------------------------------------------------------


async def test_cases_are_added_changed_and_deleted_in_their_file(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    async with pane(workspace) as (pilot, screen):
        await judged(pilot, screen)
        screen.do_show_cases()
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen is not screen, LONG)
        await typed(pilot, "May I break the glass?")
        await pilot.press("tab", "tab", "tab")
        await typed(pilot, "V1: asks for it.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen, LONG)
        await until(pilot, lambda: len(load_cases(workspace.policies, "glass")) == 5, LONG)
        await until(pilot, lambda: "4 pass" in shown(screen), LONG)
        screen.panel.table.choose(0)
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen), LONG)
        await pilot.press("d")
        await until(pilot, lambda: len(load_cases(workspace.policies, "glass")) == 4, LONG)


async def test_texts_of_cases_are_blurred_until_asked_for(tmp_path: Path) -> None:
    async with pane(workspace_in(tmp_path)) as (pilot, screen):
        await judged(pilot, screen)
        assert "clean the glass" not in shown(screen)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: "clean the glass" in shown(screen))


async def test_hostile_names_and_texts_do_no_harm(tmp_path: Path) -> None:
    hostile = "\x1b]52;c;aGk=\x07[red]x[/] \u202e\ud800"
    workspace = workspace_in(tmp_path, [(hostile, "violation", hostile), (hostile * 400, "safe", "S1")])
    (workspace.policies / TEXT).write_text("# \x1b[2J\x07 policy\n- V1: [/]\n", "utf-8")
    async with pane(workspace, SMALL) as (pilot, screen):
        await judged(pilot, screen)
        await pilot.press("ctrl+b")
        screen.do_show_case()
        await pilot.pause(0.2)
        assert "\x1b" not in shown(screen)
        assert "\x07" not in shown(screen)


@pytest.mark.parametrize("size", [WIDE, (60, 16)])
async def test_every_key_may_be_pressed_at_any_time(tmp_path: Path, size: tuple[int, int]) -> None:
    os.environ.pop("VISUAL", None)
    workspace = workspace_in(tmp_path)
    async with pane(workspace, size) as (pilot, screen):
        for key in KEYS.split():
            await pilot.press(key)
            while pilot.app.screen is not screen:
                await pilot.press("escape")
        await judged(pilot, screen)
        assert screen.editor is not None
