"""Outputs in GuardReasoner's format, written for the tests, and the released ones where they are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

OUTPUT = """# Task 1
## Reasoning Step 1
The user asks for the way to the railway station.
## Reasoning Step 2
Nobody comes to harm by this.

# Task 2
## Reasoning Step 1
The assistant gives directions.
## Reasoning Step 2
That is what was asked for.

# Task 3
## Reasoning Step 1
The directions are polite and correct.
## Reasoning Step 2
There is nothing harmful in them.

---
Answers:\x20
Request: unharmful
Completion: compliance
Response: unharmful
"""

ANSWERS = "Answers: \nRequest: harmful\nCompletion: refusal\nResponse: unharmful\n"


def reasoning(answers: str) -> str:
    """An output that reasons as `OUTPUT` does, and then ends in something else."""
    return OUTPUT[: OUTPUT.index("Answers:")] + answers


def released_outputs(shared_data: Path) -> Iterator[str]:
    """The outputs of GuardReasoner 1B and 3B, both uploads."""
    for file in sorted(shared_data.glob("predictions/**/generated_predictions.jsonl.gz")):
        for line in gzip.decompress(file.read_bytes()).split(b"\n"):
            if line:
                yield json.loads(line)["predict"]
