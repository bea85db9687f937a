"""Files of cases: a JSON object a line with a prompt and, optionally, a response and a label.

Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine.cases import Case, Harm


class CaseFileError(ValueError):
    """A line that is no case; the message names the line and the fault."""


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A case, and whether it is known to be harmful."""

    case: Case
    label: Harm | None = None


def read_cases(content: bytes) -> list[LabelledCase]:
    """Return the cases of a file, all of them or none. Lines end at newlines only; empty ones are left out.

    Raises:
        CaseFileError: at the first line that is no case.
    """
    return [_case_of(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def _case_of(number: int, line: bytes) -> LabelledCase:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CaseFileError(f"line {number}: not JSON ({error})") from error
    prompt, response = (row.get("prompt"), row.get("response")) if isinstance(row, dict) else (None, None)
    if not isinstance(prompt, str) or not isinstance(response, str | None):
        raise CaseFileError(
            f"line {number}: a case is an object with a string 'prompt' and, optionally, a string 'response'"
        )
    label = row.get("label")
    if label is not None and label not in list(Harm):
        raise CaseFileError(f"line {number}: a label is 'harmful' or 'unharmful'")
    return LabelledCase(Case(prompt, response), None if label is None else Harm(label))
