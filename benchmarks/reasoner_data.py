"""Reading the data sets that the reasoner's benchmarks report on."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

_BEFORE, _AFTER = "Human user:\n", "\n\nAI assistant:\nNone\n\n"
TOXIC_CHAT = "guardreasoner_benchmarks/0_8_toxic_chat.json"
OPENAI_MODERATION = "guardreasoner_benchmarks/0_2_OpenAIModeration.json"
XSTEST = "xstest/xstest_prompts.csv"
ADVBENCH = "advbench/harmful_behaviors.csv"


def require(data_dir: Path, names: tuple[str, ...]) -> None:
    """Exit with 2 and a message if a file is not there."""
    missing = [name for name in names if not (data_dir / name).is_file()]
    if missing:
        print(
            f"{data_dir / missing[0]} does not exist; --data-dir names the data sets' folder", file=sys.stderr
        )
        raise SystemExit(2)


def guard_prompts(path: Path) -> list[tuple[str, bool]]:
    """Return the prompts of a GuardReasoner benchmark without a response, and whether each is harmful."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        (row["input"].removeprefix(_BEFORE).removesuffix(_AFTER), row["output"].strip() == "harmful")
        for row in rows
    ]


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
