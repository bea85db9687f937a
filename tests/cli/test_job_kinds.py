"""Commands that are made from a kind's parameters: those of the kinds there are, and of any other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from app.cli.exits import CommandError
from app.cli.job_kinds import Wishes, command_of
from engine.jobs.kind import Kind, Params
from engine.jobs.kinds import KINDS
from engine.jobs.records import Estimate, JobSpec


class Method(StrEnum):
    PLAIN = "plain"
    FANCY = "fancy"


class TrialParams(Params):
    data_file: str = Field(
        title="Data", description="What to read", json_schema_extra={"format": "file", "argument": True}
    )
    steps: int = Field(title="Steps", description="How many", ge=1)
    rate: float | None = Field(None, title="Rate", description="How fast")
    method: Method = Field(Method.PLAIN, title="Method", description="How")
    mode: Literal["a", "b"] = Field("a", title="Mode", description="Which way")
    shuffle: bool = Field(True, title="Shuffle", description="Mixed")
    seeds: list[int] = Field(
        default_factory=list, title="Seeds", description="Some", json_schema_extra={"one": "seed"}
    )
    extra: dict[str, Any] = Field(default_factory=dict, title="Extra", description="Anything")
    label: str = Field("", title="Label", description="A text")


class Trial(Kind[TrialParams]):
    name: ClassVar[str] = "trial"
    does: ClassVar[str] = "Try things"
    params = TrialParams

    def title(self, params: TrialParams) -> str:
        return "trial"

    def check(self, params: TrialParams, cwd: Path) -> None:
        pass

    def estimate(self, params: TrialParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        return Estimate("nothing")


def made(*arguments: str) -> tuple[JobSpec, TrialParams]:
    """Return the job that a command line makes, and its parameters as the kind reads them."""
    specs: list[JobSpec] = []

    def take(spec: JobSpec, wishes: Wishes) -> int:
        specs.append(spec)
        return 5

    assert command_of(Trial(), take).main(list(arguments), standalone_mode=False) == 5
    return specs[0], Trial().validate(specs[0].params)


def test_every_type_of_parameter_has_an_option() -> None:
    spec, params = made(
        *("in.jsonl", "--steps", "7", "--rate", "1e-4", "--method", "fancy", "--mode", "b", "--no-shuffle"),
        *("--seed", "1", "--seed", "2", "--extra", '{"deep": [1]}', "--label", "12", "--name", "mine"),
    )
    assert params == TrialParams(
        data_file="in.jsonl",
        steps=7,
        rate=1e-4,
        method=Method.FANCY,
        mode="b",
        shuffle=False,
        seeds=[1, 2],
        extra={"deep": [1]},
        label="12",
    )
    assert (spec.kind, spec.name, spec.group) == ("trial", "mine", "default")
    _, params = made("in.jsonl", "--steps", "1")
    assert params == TrialParams(data_file="in.jsonl", steps=1)


def test_parameters_by_name() -> None:
    _, params = made(
        *("--set", "data-file=a=b", "--set", "steps=3", "--set", "rate=null", "--set", "seeds=[4]"),
        *("--set", "label=007", "--set", "shuffle=false", "--set", 'extra={"a": null}', "--steps", "9"),
    )
    assert params == TrialParams(
        data_file="a=b", steps=9, seeds=[4], label="007", shuffle=False, extra={"a": None}
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "data_file: is missing; steps: is missing"),
        (("f", "--steps", "0"), "steps: Input should be greater than or equal to 1"),
        (("f", "--steps", "few"), "steps: Input should be a valid integer"),
        (("f", "--steps", "1", "--mode", "c"), "mode: Input should be 'a' or 'b'"),
        (("f", "--steps", "1", "--seed", "x"), "seeds.0: Input should be a valid integer"),
        (("f", "--steps", "1", "--extra", "[1]"), "extra: Input should be a valid dictionary"),
        (("f", "--steps", "1", "--set", "colour=1"), "colour: is not one of its parameters"),
    ],
)
def test_what_does_not_fit_is_said_by_name(arguments: tuple[str, ...], fault: str) -> None:
    with pytest.raises(CommandError, match="cannot be made") as caught:
        made(*arguments)
    assert fault in str(caught.value)
    assert "'wizard101 jobs add trial --help' shows what it takes" in str(caught.value)


def test_help_tells_of_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    command_of(Trial(), lambda spec, wishes: 0).main(["--help"], standalone_mode=False)
    text = " ".join(capsys.readouterr().out.split())
    for said in (
        *("Try things.", "FILE", "What to read", "--steps N How many [required]", "--rate X How fast"),
        *("--method plain|fancy How [default: plain]", "--mode a|b", "--shuffle / --no-shuffle"),
        *("--seed N Some [repeatable]", "--extra JSON Anything", "--label TEXT", "--needs ID", "--set NAME"),
    ):
        assert said in text, said


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_option_of_a_kind_hides_another(kind: Kind[Any]) -> None:
    params = command_of(kind, lambda spec, wishes: 0).params
    options = [option for param in params for option in (*param.opts, *param.secondary_opts)]
    assert len(options) == len(set(options))


def test_help_of_the_jobs_commands_loads_nothing_heavy() -> None:
    heavy = ("sqlmodel", "sqlalchemy", "alembic", "textual", "httpx", "msgspec")
    code = f"""
import sys
from app.cli.main import run
assert "pydantic" not in sys.modules  # Typer loads it when it reads a command line
assert run(["jobs", "--help"]) == 0
print(sorted(set(sys.modules) & set({heavy!r})))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert "Usage: wizard101 jobs" in ended.stdout
