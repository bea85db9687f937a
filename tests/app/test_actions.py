"""The registry is the one truth about keys: docs, bindings and handlers agree with it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from app.actions import ACTIONS, Where, actions, bindings, keys_markdown, keys_of
from app.screens.case_edit import CaseEditScreen
from app.screens.case_import import CaseImportScreen
from app.screens.choice import ChoiceScreen
from app.screens.compare import CompareScreen
from app.screens.confirm import ConfirmScreen
from app.screens.experiments import ExperimentsScreen
from app.screens.export import ExportScreen
from app.screens.groups import GroupsScreen
from app.screens.help import HelpScreen
from app.screens.history import HistoryScreen
from app.screens.jobs import JobsScreen
from app.screens.leaderboard import LeaderboardScreen
from app.screens.matrix import MatrixScreen
from app.screens.models import ModelScreen
from app.screens.new_job import NewJobScreen
from app.screens.policies import PoliciesScreen
from app.screens.probe import ProbeScreen
from app.screens.run_edits import NoteScreen, TagsScreen
from app.screens.versions import VersionsScreen
from app.wizard import WizardApp

OWNERS = {
    Where.EVERYWHERE: WizardApp,
    Where.PROBE: ProbeScreen,
    Where.EDITOR: ProbeScreen,
    Where.TREE: ProbeScreen,
    Where.HISTORY: HistoryScreen,
    Where.MODELS: ModelScreen,
    Where.DIALOG: HelpScreen,
    Where.POLICIES: PoliciesScreen,
    Where.POLICY_PARTS: PoliciesScreen,
    Where.VERSIONS: VersionsScreen,
    Where.EXPERIMENTS: ExperimentsScreen,
    Where.COMPARISON: CompareScreen,
    Where.LEADERBOARD: LeaderboardScreen,
    Where.MATRIX: MatrixScreen,
    Where.JOBS: JobsScreen,
    Where.NEW_JOB: NewJobScreen,
    Where.GROUPS: GroupsScreen,
    Where.CONFIRM: ConfirmScreen,
    Where.CHOICE: ChoiceScreen,
    Where.NOTE: NoteScreen,
    Where.TAGS: TagsScreen,
    Where.EXPORT: ExportScreen,
    Where.CASE: CaseEditScreen,
    Where.CASE_IMPORT: CaseImportScreen,
}
TOGETHER = (
    (Where.EVERYWHERE, Where.PROBE, Where.EDITOR),
    (Where.EVERYWHERE, Where.PROBE, Where.TREE),
    (Where.EVERYWHERE, Where.HISTORY),
    (Where.EVERYWHERE, Where.MODELS),
    (Where.EVERYWHERE, Where.DIALOG),
    (Where.EVERYWHERE, Where.POLICIES, Where.POLICY_PARTS),
    (Where.EVERYWHERE, Where.VERSIONS),
    (Where.EVERYWHERE, Where.RUNS, Where.EXPERIMENTS),
    (Where.EVERYWHERE, Where.COMPARISON),
    (Where.EVERYWHERE, Where.LEADERBOARD),
    (Where.EVERYWHERE, Where.MATRIX),
    *((Where.EVERYWHERE, where) for where in (Where.JOBS, Where.NEW_JOB, Where.GROUPS, Where.CONFIRM)),
    (Where.EVERYWHERE, Where.CASE),
    (Where.EVERYWHERE, Where.CASE_IMPORT),
    *((Where.EVERYWHERE, where) for where in (Where.CHOICE, Where.NOTE, Where.TAGS, Where.EXPORT)),
)


def test_the_documented_keys_are_the_real_ones() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert documented == keys_markdown(), "python -m app.actions > docs/keys.md"


@pytest.mark.parametrize("action", [action for action in ACTIONS if not action.native], ids=lambda a: a.name)
def test_every_action_has_a_handler_where_it_works(action) -> None:  # type: ignore[no-untyped-def]
    assert callable(getattr(OWNERS[action.where], f"do_{action.name}"))


@pytest.mark.parametrize("places", TOGETHER, ids=lambda places: places[-1])
def test_no_key_means_two_things_at_once(places: tuple[Where, ...]) -> None:
    for first, second in combinations([action for action in actions(*places) if not action.native], 2):
        assert not set(first.keys) & set(second.keys), (first.name, second.name)


def test_bindings_and_editor_keys_come_from_the_registry() -> None:
    bound = {binding.action for binding in bindings(Where.PROBE)}
    assert bound == {f"app.act('{action.name}')" for action in actions(Where.PROBE)}
    assert keys_of(Where.EDITOR) == {"enter": "judge", "ctrl+j": "newline", "shift+enter": "newline"}


def test_what_an_action_does_fits_the_help_of_a_small_terminal() -> None:
    assert max(len(action.does) for action in ACTIONS) <= 46
