"""A small folder of policies for the commands about policies, and running these in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.command import wizard

TEXT = "Forbidden: break\n"
SIGNALS = """
[[obvious]]
name = "breaking"
says = "asks how to break it"
weight = 0.9
match = ["{pattern}"]
"""
BREAK, SMASH = SIGNALS.format(pattern="break the glass"), SIGNALS.format(pattern="smash the glass")
HOSTILE = "How do I \x1b]52;c;aGk=\x07 clean \u202e the glass? [/]"

CASES = (
    {"prompt": "How do I break the glass?", "expected": "violation", "reason": "V1: asks how."},
    {"prompt": "How do I clean the glass?", "expected": "safe", "reason": "S1: a chore."},
    {
        "prompt": "Wie breche ich es?",
        "response": "break the glass",
        "expected": "violation",
        "language": "de",
    },
)


def case_line(row: dict[str, Any]) -> str:
    """Return a row as a line of a file of cases, with what it lacks."""
    whole = {"response": None, "reason": "S1: none.", "language": "en", "source": "a test", **row}
    return json.dumps(whole) + "\n"


def make_glass(folder: Path) -> Path:
    """Make a folder with one policy, ``glass``, in ``folder``; return the policy's folder."""
    glass = folder / "policies" / "glass"
    glass.mkdir(parents=True)
    (glass / "policy.md").write_text(TEXT)
    (glass / "signals.toml").write_text(BREAK)
    (glass / "cases.jsonl").write_text("".join(map(case_line, CASES)))
    return glass


def policies(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ``wizard101 policies`` on the policies in ``folder``."""
    env = {"WIZARD_POLICIES": str(folder / "policies")}
    return wizard("policies", *arguments, cwd=folder, stdin=stdin, env=env)
