"""Where the database, the policies and the models are looked for, and laying out a workspace."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.workspace import (
    WorkspaceError,
    create_workspace,
    default_models_dir,
    find_workspace,
    of_home,
    shipped_policies,
)


def lay_policy(folder: Path) -> Path:
    (folder / "violence").mkdir(parents=True)
    (folder / "violence" / "policy.md").write_text("No violence.")
    return folder


def test_the_nearest_folder_with_policies_holds_everything(tmp_path: Path) -> None:
    lay_policy(tmp_path / "policies")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "policies").mkdir()  # holds no policy
    found = find_workspace(start=inner, env={})
    assert (found.db, found.policies, found.runs) == (
        tmp_path / "wizard.db",
        tmp_path / "policies",
        tmp_path / "runs",
    )


def test_whoever_comes_by_a_link_works_on_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "wizard.db"
    link.symlink_to(tmp_path / "wizard.db")
    for found in (find_workspace(db=link, env={}), find_workspace(env={"WIZARD_DB": str(link)})):
        assert (found.db, found.runs) == (tmp_path / "wizard.db", tmp_path / "runs")


def test_elsewhere_the_platform_folder_and_the_shipped_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = find_workspace(start=tmp_path, env={})
    assert found.db.name == "wizard.db"
    assert found.db.parent.name == "wizard101"
    assert found.policies == shipped_policies()
    assert found.models == found.db.parent / "models"
    assert not found.db.parent.exists()


def test_arguments_come_before_variables_and_those_before_the_folder(tmp_path: Path) -> None:
    lay_policy(tmp_path / "policies")
    lay_policy(tmp_path / "named")
    lay_policy(tmp_path / "passed")
    env = {"WIZARD_DB": "v/one.db", "WIZARD_POLICIES": "named", "WIZARD_MODELS": str(tmp_path / "m")}
    by_variable = find_workspace(start=tmp_path, env=env)
    assert by_variable.db == tmp_path / "v" / "one.db"
    assert by_variable.runs == tmp_path / "v" / "runs"
    assert by_variable.policies == tmp_path / "named"
    assert by_variable.models == tmp_path / "m"
    by_argument = find_workspace(Path("w.db"), Path("passed"), tmp_path, env)
    assert (by_argument.db, by_argument.policies) == (tmp_path / "w.db", tmp_path / "passed")
    unset = find_workspace(start=tmp_path, env=dict.fromkeys(env, ""))
    assert (unset.db, unset.policies) == (tmp_path / "wizard.db", tmp_path / "policies")


def test_what_was_asked_for_must_be_usable(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"WIZARD_POLICIES.*holds no policies.*init DIR"):
        find_workspace(start=tmp_path, env={"WIZARD_POLICIES": "nowhere"})
    with pytest.raises(WorkspaceError, match="is a folder") as caught:
        find_workspace(tmp_path, start=tmp_path, env={})
    assert str(tmp_path / "wizard.db") in caught.value.hint


def test_a_link_that_leads_back_to_itself_is_explained(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for db in (loop, loop / "wizard.db"):
        with pytest.raises(WorkspaceError, match=r"links in .*loop.*lead nowhere.*--db"):
            find_workspace(db, start=tmp_path, env={})
    (tmp_path / "wizard.db").symlink_to("wizard.db")
    lay_policy(tmp_path / "policies")
    with pytest.raises(WorkspaceError, match="lead nowhere"):
        find_workspace(start=tmp_path, env={})


def test_a_home_that_is_not_known_is_explained(tmp_path: Path) -> None:
    for name in ("WIZARD_DB", "WIZARD_POLICIES", "WIZARD_MODELS"):
        with pytest.raises(WorkspaceError, match="~nobody-of-that-name/x lies in no known home"):
            find_workspace(start=tmp_path, env={name: "~nobody-of-that-name/x"})
    with pytest.raises(WorkspaceError, match="lies in no known home"):
        create_workspace(Path("~nobody-of-that-name/x"))


def test_a_home_stands_for_a_tilde_and_one_that_is_not_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert of_home("~/cases.jsonl") == Path("/home/somebody/cases.jsonl")
    assert of_home("~no-such-user/cases.jsonl") == Path("~no-such-user/cases.jsonl")
    assert of_home("cases~") == Path("cases~")


def test_models_folder_follows_the_variable(tmp_path: Path) -> None:
    assert default_models_dir({"WIZARD_MODELS": str(tmp_path)}) == tmp_path
    assert default_models_dir({"WIZARD_MODELS": ""}).name == "models"


def test_a_new_workspace_has_the_policies_and_a_private_database(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "new")
    assert find_workspace(start=tmp_path / "new", env={}).db == made.db
    for source in shipped_policies().glob("*/policy.md"):
        copy = made.policies / source.parent.name / "policy.md"
        assert copy.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(made.db.stat().st_mode) == 0o600


def test_a_new_workspace_overwrites_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "policies" / "violence" / "policy.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(
        WorkspaceError, match=r"already has policies/violence/policy\.md\. Nothing was written"
    ):
        create_workspace(tmp_path)
    assert mine.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_a_new_workspace_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be filled"):
        create_workspace(tmp_path / "file" / "new")
