"""Jobs that make a table of evaluations: sets of policies by models. `engine.jobs.matrix_work` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from engine.jobs.kind import Kind, Params
from engine.jobs.records import Estimate

MATRIX = "matrix.json"
MATRIX_CSV = "matrix.csv"
MATRIX_MARKDOWN = "matrix.md"

MOST = 400
"""How many evaluations a matrix may be made of."""

_LARGEST_ID = 2**63 - 1


class MatrixParams(Params):
    """What a ``matrix`` job takes. Which set and which model a run is of, its own parameters say."""

    runs: list[int] = Field(
        title="Evaluations",
        description="Numbers of evaluate jobs of the gauntlet, each of another set of policies or model; "
        "what is not over is waited for",
        json_schema_extra={"one": "run"},
        min_length=1,
        max_length=MOST,
    )

    @field_validator("runs")
    @classmethod
    def _each_once(cls, runs: list[int]) -> list[int]:
        if any(not 0 < run <= _LARGEST_ID for run in runs):
            raise ValueError("must be numbers of jobs")
        if len(set(runs)) < len(runs):
            raise ValueError("names a run twice")
        return runs


class Matrix(Kind[MatrixParams]):
    name: ClassVar[str] = "matrix"
    does: ClassVar[str] = "Make a table of evaluations: sets of policies by models, with their differences"
    params = MatrixParams

    def title(self, params: MatrixParams) -> str:
        return f"matrix of {len(params.runs)} evaluations"

    def check(self, params: MatrixParams, cwd: Path) -> None:
        """Nothing can be told beforehand: the evaluations need not be over."""

    def needs(self, params: MatrixParams) -> Sequence[int]:
        return params.runs

    def estimate(self, params: MatrixParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        return Estimate(
            f"a table of {len(params.runs):,} evaluations", basis="It reads what they have kept, in seconds."
        )
