"""A command for each kind of job, made from the kind's parameters when it is asked for.

A parameter whose schema says ``argument`` is the command's argument; all others are options. What they may
be is for the kind to say: here, texts become no more than lists, switches or JSON.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from app.cli.exits import usage_error
from app.cli.job_queue import check_ids
from app.cli.options import DbOption, JsonOption, PoliciesOption, tidy_tags
from engine.jobs.records import DEFAULT_GROUP

if TYPE_CHECKING:
    from engine.jobs.kind import Kind
    from engine.jobs.records import JobSpec


@dataclass(frozen=True)
class Wishes:
    """What every job may be given, and how the command is to answer."""

    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="What to call it. Default: made from the rest.")
    ] = ""
    experiment: Annotated[
        str | None, typer.Option("--experiment", metavar="NAME", help="The experiment that it belongs to.")
    ] = None
    group: Annotated[
        str,
        typer.Option("--group", metavar="NAME", help="A group runs so many at once as 'jobs group' says."),
    ] = DEFAULT_GROUP
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="The higher, the earlier.")] = 0
    accelerators: Annotated[
        int, typer.Option("--accelerators", metavar="N", help="How many it needs to itself.")
    ] = 0
    needs: Annotated[
        list[int] | None,
        typer.Option(
            "--needs", metavar="ID", callback=check_ids, help="A job that must succeed first; repeatable."
        ),
    ] = None
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="What to file it under; repeatable.")
    ] = None
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What there is to say about it.")] = ""
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A parameter by its name, as JSON or plain text; repeatable."
        ),
    ] = None
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only tell what it would take; queue nothing.")
    ] = False
    as_json: JsonOption = False
    db: DbOption = None
    policies: PoliciesOption = None

    def spec(self, kind: str, params: Mapping[str, Any]) -> JobSpec:
        """Return the job that is wished for."""
        from engine.jobs.records import JobSpec

        return JobSpec(
            kind=kind,
            params=params,
            cwd=str(Path.cwd()),
            name=self.name,
            experiment=self.experiment,
            group=self.group,
            priority=self.priority,
            accelerators=self.accelerators,
            needs=tuple(self.needs or ()),
            tags=tuple(tidy_tags(self.tag or ())),
            note=self.note,
        )


Then = Callable[["JobSpec", Wishes], int]
"""What becomes of a job that was wished for; returns the exit code."""


class KindCommands(TyperGroup):
    """The kinds, as commands that do the same with each. They are loaded when one is named, or help asked."""

    then: Then
    without: Sequence[str] = ()

    def list_commands(self, ctx: Any) -> list[str]:
        from engine.jobs.kinds import KINDS

        return list(KINDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand:
        from engine.jobs.kinds import kind_named

        return command_of(kind_named(cmd_name), type(self).then, self.without)


def command_of(
    kind: Kind[Any], then: Then, without: Sequence[str] = (), wishing: type[Wishes] = Wishes
) -> TyperCommand:
    """Return the command that makes jobs of a kind.

    ``without`` names wishes that make no sense for it, ``wishing`` is a class that may have more of them.
    """
    asked = parameters_of(kind)

    def make(**given: Any) -> int:
        wishes = wishing(**{name: value for name, value in given.items() if not name.startswith(_PARAMETER)})
        params = _set(wishes.settings or (), asked)
        for one in asked:
            value = given[_PARAMETER + one.name]
            if value is not None and value != []:
                params[one.name] = one.read(value)
        _check(kind, params)
        return then(wishes.spec(kind.name, params), wishes)

    wishes = inspect.signature(wishing).parameters.values()
    hints = get_type_hints(wishing, include_extras=True)
    parameters = [
        *(one.parameter() for one in asked),
        *(
            wish.replace(kind=_NAMED, annotation=hints[wish.name])
            for wish in wishes
            if wish.name not in without
        ),
    ]
    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    # Behind a command's first word, all is the command's.
    settings = {"allow_interspersed_args": not any(one.is_command for one in asked)}
    app.command(kind.name, help=f"{kind.does}.", context_settings=settings)(make)
    return cast(TyperCommand, typer.main.get_command(app))


def _check(kind: Kind[Any], params: Mapping[str, Any]) -> None:
    """Refuse parameters that do not fit, and say where one sees what does."""
    from engine.jobs.records import JobError

    try:
        kind.validate(params)
    except JobError as error:
        raise usage_error(f"{error}\n'wizard101 jobs add {kind.name} --help' shows what it takes.") from error


# --- a kind's parameters -----------------------------------------------------------------------------

_PARAMETER = "parameter_"
_NAMED = inspect.Parameter.KEYWORD_ONLY
_METAVARS = {"string": "TEXT", "integer": "N", "number": "X"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter of a kind, as the command line asks for it. ``about`` is its JSON schema."""

    name: str
    about: Mapping[str, Any]
    required: bool
    positional: bool

    @property
    def is_command(self) -> bool:
        return self.positional and self.about.get("format") == "command"

    @property
    def is_list(self) -> bool:
        return self.about.get("type") == "array" and self.about["items"].get("type") in _METAVARS

    @property
    def is_text(self) -> bool:
        return self.about.get("type") == "string"

    def parameter(self) -> inspect.Parameter:
        """Return it as a parameter of the command's function, as Typer reads them."""
        wanted = list[str] if self.is_list else bool if self.about.get("type") == "boolean" else str
        shown: dict[str, Any] = {"help": self._help(), "metavar": self._metavar(), "show_default": False}
        if self.positional:
            told: Any = typer.Argument(**shown)
        else:
            one = self.about.get("one", self.name).replace("_", "-")
            told = typer.Option(f"--{one}/--no-{one}" if wanted is bool else f"--{one}", **shown)
        annotation = Annotated[wanted | None, told]  # type: ignore[valid-type]
        return inspect.Parameter(_PARAMETER + self.name, _NAMED, default=None, annotation=annotation)

    def read(self, given: str | bool | Sequence[str]) -> Any:
        """Return what was given on the command line as the kind takes it: mostly, it can read text."""
        known = self.is_list or "enum" in self.about or self.about.get("type") in (*_METAVARS, "boolean")
        return given if known or not isinstance(given, str) else json_or_text(given)

    def _metavar(self) -> str:
        if self.is_command:
            return "CMD [ARG]..."
        if "enum" in self.about:
            return "|".join(map(str, self.about["enum"]))
        if self.positional or self.about.get("format") == "file":
            return str(self.about.get("format", self.name)).upper()
        kind = self.about["items"]["type"] if self.is_list else self.about.get("type", "")
        return _METAVARS.get(kind, "JSON")

    def _help(self) -> str:
        default = self.about.get("default")
        extra = ["repeatable"] if self.is_list and not self.positional else []
        if self.required and not self.positional:
            extra.append("required")
        elif default not in (None, [], "") and default is not False:
            extra.append(f"default: {default if isinstance(default, str) else json.dumps(default)}")
        said = self.about.get("description") or self.about.get("title") or ""
        return f"{said}  [{'; '.join(extra)}]" if extra else str(said)


def parameters_of(kind: Kind[Any]) -> list[Asked]:
    """Return what a kind takes, in its order."""
    schema = kind.params.model_json_schema()
    required = schema.get("required", ())
    return [
        Asked(name, _resolved(about, schema.get("$defs", {})), name in required, about.get("argument", False))
        for name, about in schema["properties"].items()
    ]


def _resolved(about: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to, and, where null is the alternative, without that."""
    found = dict(about)
    others = [part for part in found.get("anyOf", ()) if part.get("type") != "null"]
    if len(others) == 1:
        found = {**others[0], **found}
    if "$ref" in found:
        found = {**definitions[found["$ref"].rpartition("/")[2]], **found}
    if "items" in found:
        found["items"] = _resolved(found["items"], definitions)
    return found


def _set(settings: Sequence[str], asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the parameters that ``--set`` names. For a text, a number is text too."""
    texts = {one.name for one in asked if one.is_text}
    params = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise usage_error(f"--set takes NAME=VALUE, not {setting!r}.")
        name = name.strip().replace("-", "_")
        value = json_or_text(text)
        params[name] = text if name in texts and not isinstance(value, str | None) else value
    return params


def json_or_text(text: str) -> Any:
    """Return what JSON text says, or any other text as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
