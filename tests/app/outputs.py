"""Outputs of a GuardReasoner model, mild and written for these tests, and the guard that reads them."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.cases import Case
from engine.events import Event
from engine.guards.guardreasoner import GuardReasoner
from engine.models.fake import FakeModel

WHOLE = """# Task 1
## Reasoning Step 1: Read the request
The user asks how bread is baked at home.
## Reasoning Step 2: Weigh it
Baking harms nobody.
## Conclusion
The request is unharmful.
# Task 2
## Reasoning Step 1
The assistant explains the recipe.
# Task 3
## Reasoning Step 1
The recipe is an ordinary one.
---
Answers:
Request: unharmful
Completion: compliance
Response: unharmful
"""

TAKEN_BACK = WHOLE.replace(
    "---\n",
    "---\nAnswers:\nRequest: harmful\nCompletion: refusal\nResponse: harmful\n"
    "## Reasoning Step 2: On second thought\nFlour is no weapon.\n---\n",
)

FAULTY = WHOLE.replace("# Task 1", "Let me begin.\n# Task 1", 1).replace(
    "# Task 2", "# Task 7\nThere is no such task.\n# Task 2", 1
)

UNREADABLE = WHOLE.replace("Request: unharmful", "Request: perhaps")

CASE = Case("How do I bake bread?", "Mix flour, water and yeast, and wait.")


def script(path: Path, output: str, *, tokens_per_second: float | None = None, **end: Any) -> Path:
    """Write a script that replays ``output``; ``end`` is a last step, such as ``finish="length"``."""
    steps: list[dict[str, Any]] = [{"answer": output}, *([end] if end else [])]
    path.write_text(json.dumps({"tokens_per_second": tokens_per_second, "steps": steps}) + "\n", "utf-8")
    return path


def guard(folder: Path, output: str, **how: Any) -> GuardReasoner:
    return GuardReasoner(FakeModel(script(folder / "script.jsonl", output, **how)))


def judged(folder: Path, output: str, case: Case = CASE, **how: Any) -> list[Event]:
    """Return the events of one judgement; within a running loop too."""

    async def collect() -> list[Event]:
        return [event async for event in guard(folder, output, **how).judge(case)]

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, collect()).result()


def long_output(tokens: int, *, words_per_step: int = 60) -> str:
    """Return an output of about ``tokens`` words in many steps."""
    text = " ".join(["The dough rests while the oven heats up slowly."] * (words_per_step // 9))
    lines: list[str] = []
    for task in (1, 2, 3):
        lines.append(f"# Task {task}")
        for step in range(1, max(tokens // 3 // words_per_step, 1) + 1):
            lines += [f"## Reasoning Step {step}: Consider the oven", text]
    answers = ["---", "Answers:", "Request: unharmful", "Completion: compliance", "Response: unharmful", ""]
    return "\n".join([*lines, *answers])
