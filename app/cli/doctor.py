"""``wizard101 doctor``: what is here, what is missing, and where things are."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.safe_text import visible

CORE = ("textual", "rich", "typer", "sqlmodel", "alembic", "ollama", "httpx", "pydantic")
EXTRAS = {
    "local": ("xllamacpp",),
    "train": ("torch", "transformers", "peft", "trl", "datasets"),
    "cuda": ("unsloth", "bitsandbytes"),
    "mlx": ("mlx-lm",),
    "gemini": ("google-genai",),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ``needed`` checks decide the exit code."""

    topic: str
    name: str
    ok: bool
    detail: str
    needed: bool = False


def doctor(as_json: JsonOption = False, db: DbOption = None, policies: PoliciesOption = None) -> int:
    """Report versions, extras, policies, the database and the back ends that can be reached.

    Exit code 1 if something that the core needs is broken; a missing extra or back end is not.
    """
    from engine.workspace import default_data_dir, find_workspace

    workspace = find_workspace(db, policies)
    checks = [
        Check(
            "program",
            "wizard101",
            True,
            f"{__version__} on Python {platform.python_version()}, {platform.platform()}",
        ),
        *(_package("core", name, needed=True) for name in CORE),
        *(_extra(extra, names) for extra, names in EXTRAS.items()),
        _policies(workspace.policies),
        _database(workspace.db),
        Check("files", "runs", True, str(workspace.runs)),
        Check("files", "models", True, str(workspace.models)),
        Check("files", "data", True, str(default_data_dir())),
        *asyncio.run(_back_ends(workspace.models)),
    ]
    if as_json:
        print(
            json.dumps([{"topic": c.topic, "name": c.name, "ok": c.ok, "detail": c.detail} for c in checks])
        )
    else:
        width = max(len(check.name) for check in checks)
        topic = ""
        for check in checks:
            if check.topic != topic:
                topic = check.topic
                print(f"\n{topic}")
            mark = "✔" if check.ok else "✖" if check.needed else "–"
            print(visible(f"  {mark} {check.name:<{width}}  {check.detail}"))
    return 0 if all(check.ok for check in checks if check.needed) else 1


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(topic: str, name: str, *, needed: bool) -> Check:
    version = _version(name)
    return Check(topic, name, version is not None, version or "not installed", needed)


def _extra(extra: str, names: tuple[str, ...]) -> Check:
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Check(
            "extras", extra, False, f"pip install 'wizard101[{extra}]' (missing: {', '.join(missing)})"
        )
    return Check("extras", extra, True, ", ".join(f"{name} {version}" for name, version in versions.items()))


def _policies(folder: Path) -> Check:
    from engine.policies.load import PolicyError, load_policies
    from engine.policies.sets import policy_sets

    try:
        names = [policy.name for policy in load_policies(folder)]
        sets = [each.name for each in policy_sets(folder)]
    except PolicyError as error:
        return Check("files", "policies", False, str(error), needed=True)
    return Check("files", "policies", True, f"{folder} ({', '.join(names)}; sets: {', '.join(sets)})")


def _database(path: Path) -> Check:
    from engine.tracker import TrackerError, open_tracker

    if not path.exists():
        return Check("files", "database", True, f"{path} (made when the first probe is saved)")
    try:
        with open_tracker(path) as tracker:
            told = (f"{path} ({tracker.count()} probes)", tracker.read_only, tracker.notice)
            return Check("files", "database", True, "; ".join(filter(None, told)))
    except TrackerError as error:
        return Check("files", "database", False, str(error), needed=True)


async def _back_ends(models_dir: Path) -> list[Check]:
    from engine.models.discover import discover

    return [
        Check(
            "models",
            option.spec or option.label,
            option.reachability.ok,
            "; ".join(part for part in (option.reachability.detail, option.reachability.hint) if part),
        )
        for option in await discover(models_dir)
    ]
