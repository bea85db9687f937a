"""Where things are: the tracker's database, the policies, the runs and the models.

Standard library only until a platform folder is asked for: every command of the program comes past here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATABASE = "wizard.db"

RUNS = "runs"
"""The folder of runs, beside the database."""


class WorkspaceError(Exception):
    """A place that cannot be used: ``message`` says why, ``hint`` what to do. ``str`` gives both."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Workspace:
    """The absolute paths that a session works with. None of them need exist."""

    db: Path
    policies: Path
    runs: Path
    models: Path


def find_workspace(
    db: Path | None = None,
    policies: Path | None = None,
    start: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> Workspace:
    """Return the places to work in, seen from the folder ``start`` (default: the current one).

    The database is ``db``, else ``WIZARD_DB``, else ``wizard.db`` in the nearest folder, from ``start``
    upwards, that has a ``policies/`` folder with a policy in it, else in the platform's data folder.
    The policies are ``policies``, else ``WIZARD_POLICIES``, else that nearest folder's, else the shipped
    set. ``runs/`` lies beside the database. Nothing is created. An empty variable counts as unset.

    Raises:
        WorkspaceError: if the database asked for is a folder or a link that leads back to itself, if the
            policies asked for hold no policy, or if the current folder no longer exists.
    """
    base = _start(start)
    home = _nearest_with_policies(base)
    # Whoever comes by a link works on the same file, with the same runs beside it, as everybody else.
    db_path = _resolved(_asked_db(base, db, env) or (home or _data_folder()) / DATABASE)
    policies_path = _asked_policies(base, policies, env) or (
        home / "policies" if home else shipped_policies()
    )
    return Workspace(db_path, policies_path, db_path.parent / RUNS, default_models_dir(env))


def default_models_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that downloaded models are kept in: ``WIZARD_MODELS``, else the platform's."""
    wanted = env.get("WIZARD_MODELS")
    return _of_known_home(Path(wanted)).absolute() if wanted else _data_folder() / "models"


def default_data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that benchmarks are fetched to: ``WIZARD_DATA``, else the platform's."""
    wanted = env.get("WIZARD_DATA")
    return _of_known_home(Path(wanted)).absolute() if wanted else _data_folder() / "data"


def shipped_policies() -> Path:
    """Return the policies that came with the program: inside an installed package, or in its checkout."""
    engine = Path(__file__).resolve().parent
    installed = engine / "policies" / "shipped"
    return installed if installed.is_dir() else engine.parent / "policies"


def create_workspace(folder: Path, env: Mapping[str, str] = os.environ) -> Workspace:
    """Lay out ``folder``: a copy of the shipped policies, to edit, and an empty database.

    Nothing that exists is overwritten: where a file is in the way, nothing is written at all.

    Raises:
        WorkspaceError: if files are in the way, or the folder cannot be written.
        TrackerError: if the database cannot be made.
    """
    folder = _of_known_home(folder).absolute()
    shipped = shipped_policies()
    copies = {
        folder / "policies" / source.relative_to(shipped): source
        for source in sorted(shipped.rglob("*"))
        if source.is_file()
        and not any(part.startswith((".", "__")) for part in source.relative_to(shipped).parts)
    }
    if not copies:
        raise WorkspaceError(f"{shipped} holds no policies to copy.", hint="Install Wizard101 again.")
    db = folder / DATABASE
    in_the_way = [str(path.relative_to(folder)) for path in (*copies, db) if os.path.lexists(path)]
    if in_the_way:
        raise WorkspaceError(
            f"{folder} already has {', '.join(in_the_way)}. Nothing was written.",
            hint="Choose another folder, or move these away first.",
        )
    try:
        for target, source in copies.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(source.read_bytes())
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be filled: {error}.",
            hint="Files written so far are kept; make room or choose another folder.",
        ) from error
    from engine.tracker import open_tracker

    open_tracker(db).close()
    return Workspace(db, folder / "policies", folder / RUNS, default_models_dir(env))


def _start(start: Path | None) -> Path:
    try:
        return _of_known_home(start or Path.cwd()).resolve()
    except (OSError, RuntimeError) as error:
        raise WorkspaceError(
            f"The current folder cannot be read: {error}.", hint="Change to another folder."
        ) from error


def of_home(path: str | Path) -> Path:
    """Put a person's home in place of a ``~`` that the path begins with; one that is not known stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of Path raises RuntimeError


def _of_known_home(path: Path) -> Path:
    """Put a person's home in place of a ``~`` or ``~name`` that the path begins with."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise WorkspaceError(
            f"{path} lies in no known home: {error}", hint="Check the name behind the ~."
        ) from error


def _resolved(db: Path) -> Path:
    try:
        return db.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError in Python 3.11 and 3.12, for a loop
        raise WorkspaceError(
            f"The links in {db} lead nowhere: {error}.",
            hint="Choose another file with --db or WIZARD_DB.",
        ) from error


def _nearest_with_policies(base: Path) -> Path | None:
    return next((folder for folder in (base, *base.parents) if _has_policy(folder / "policies")), None)


def _has_policy(folder: Path) -> bool:
    return next(folder.glob("*/policy.md"), None) is not None


def _asked_db(base: Path, db: Path | None, env: Mapping[str, str]) -> Path | None:
    wanted = db or env.get("WIZARD_DB")
    if not wanted:
        return None
    path = base / _of_known_home(Path(wanted))
    if path.is_dir():
        raise WorkspaceError(
            f"{path} is a folder, not a database.", hint=f"Name a file in it: {path / DATABASE}"
        )
    return path


def _asked_policies(base: Path, policies: Path | None, env: Mapping[str, str]) -> Path | None:
    wanted = policies or env.get("WIZARD_POLICIES")
    if not wanted:
        return None
    path = base / _of_known_home(Path(wanted))
    if not _has_policy(path):
        named_by = "" if policies else " (named by WIZARD_POLICIES)"
        raise WorkspaceError(
            f"{path}{named_by} holds no policies.",
            hint="Name a folder whose sub-folders hold a policy.md; 'wizard101 init DIR' lays one out.",
        )
    return path


def _data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("wizard101", appauthor=False)
