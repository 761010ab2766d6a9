"""How the command line is parsed: tyro reads a function's signature and docstring; what it has to say becomes one sentence."""

import contextlib
import dataclasses
import functools
import io
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from novelette.errors import InputError
from novelette.saying import check_seed

Output = Annotated[Path, arg(aliases=["-o"])]
DetectorPath = Annotated[Positional[Path], arg(metavar="DETECTOR")]
SourceName = Annotated[Positional[str], arg(metavar="SOURCE")]
Flag = tyro.conf.FlagCreatePairsOff[bool]
RULES = ConstructorRegistry()


@RULES.primitive_rule
def _left_out(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """What may be left out is asked for by what it is: `PATH`, not `{None}|PATH`."""
    given = [one for one in typing.get_args(info.type) if one is not types.NoneType]
    if typing.get_origin(info.type) not in (typing.Union, types.UnionType) or len(given) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(given[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["none"] if value is None else spec.str_from_instance(value),
    )


@dataclasses.dataclass(frozen=True)
class Sets:
    """Which pictures of a named set.

    Attributes:
        normal: the class of a named set that is normal (with leave-one-out, the one that is novel)
        protocol: how a named set is split: standard, gpnd, ocgan-p1 or leave-one-out
        protocol_seed: seed of the protocols that draw at random
        attribute: an attribute of CelebA, e.g. Eyeglasses; pictures without it are normal
        group_by: a regular expression, e.g. 'part[0-9]+'; pictures in whose names it finds the same text show the same thing, and stay
            together in training or in calibration
        data_root: a folder that holds named sets; NOVELETTE_DATA can name more
    """

    normal: str | None = None
    protocol: str = "standard"
    protocol_seed: int = 0
    attribute: str | None = None
    group_by: str | None = None
    data_root: UseAppendAction[tuple[Path, ...]] = ()

    def where(self) -> Any:
        from novelette.data.select import Where

        check_seed(self.protocol_seed, "--protocol-seed")
        return Where(self.normal, self.protocol, self.protocol_seed, self.attribute, self.group_by, self.data_root)


@dataclasses.dataclass(frozen=True)
class ClassSets:
    """Which pictures of a named set, where every class counts.

    Attributes:
        attribute: an attribute of CelebA, e.g. Eyeglasses; the classes are with and without it
        group_by: a regular expression, e.g. 'part[0-9]+'; pictures in whose names it finds the same text show the same thing, and stay
            together in training or in calibration
        data_root: a folder that holds named sets; NOVELETTE_DATA can name more
    """

    attribute: str | None = None
    group_by: str | None = None
    data_root: UseAppendAction[tuple[Path, ...]] = ()

    def where(self) -> Any:
        from novelette.data.select import Where

        return Where(attribute=self.attribute, group_by=self.group_by, data_roots=self.data_root)


NO_CLASS_SETS = ClassSets()
ClassSetOptions = OmitArgPrefixes[Annotated[ClassSets, arg(name="")]]
NO_SETS = Sets()
SetOptions = OmitArgPrefixes[Annotated[Sets, arg(name="")]]


def parse(command: Callable[..., int], args: Sequence[str], name: str) -> int:
    """Parse with tyro and call. What tyro has to say of a wrong argument becomes one sentence. Raises: InputError."""
    errors = io.StringIO()
    call: list[Any] = []
    noting = spied(command, call)
    try:
        with contextlib.redirect_stderr(errors):
            tyro.cli(noting, args=list(args), prog=f"novelette {name}", registry=RULES)
    except SystemExit as stop:
        if stop.code in (0, None):
            return 0
        raise InputError(one_sentence(errors.getvalue(), name)) from None
    return command(*call[0], **call[1])


def methods_usage(command: str, output: str, does: str | None, methods: Mapping[str, ModuleType], args: Sequence[str]) -> int:
    """Print how a command is used whose method comes first, and the methods.

    Args: command: as it is called.   output: the word for what it writes.   does: its docstring.   args: what was given without a method.
    Raises: InputError where something else than a method, or a call for help, was given.
    """
    if args and args[0] not in ("-h", "--help"):
        raise InputError(f"{command} METHOD SOURCE: the method comes first; choose one of {', '.join(methods)}")
    print(f"usage: {command} METHOD SOURCE -o {output} ...\n")
    print((does or "").splitlines()[0] + "\n")
    for name, module in methods.items():
        print(f"  {name:<10} {(module.__doc__ or '').splitlines()[0]}\n{'':<12} {module.PAPER}")
    print(f"\n{command} METHOD --help lists the arguments, and the method's own settings with their ranges.")
    return 0


def spied(command: Callable[..., int], call: list[Any]) -> Callable[..., None]:
    """A function of the same signature that notes its arguments: parsing ends before the command begins."""

    @functools.wraps(command)
    def note(*args: Any, **kwargs: Any) -> None:
        call[:] = [args, kwargs]

    return note


def one_sentence(boxed: str, name: str) -> str:
    """tyro's boxed message without the box, the first paragraph alone. On a terminal that knows no │ the box is of blanks and -."""
    lines = [line.strip("│ ").strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", boxed).splitlines()]
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("╭") or (line and set(line) <= set("─-")):
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    text = plainly(" ".join(paragraphs[1]).rstrip("."))
    meant = re.search(r"Perhaps you meant:\s*(--[\w-]+)", " ".join(line for lines in paragraphs[2:3] for line in lines))
    hint = f"; did you mean {meant.group(1)}?" if meant else ""
    return f"{text[:1].lower()}{text[1:]}{hint}; see novelette {name} --help"


def plainly(text: str) -> str:
    """What tyro says of an argument, without Python's words for it."""
    if told := re.match(r"Missing from novelette [^:]*: (.*)", text):
        return "missing: " + ", ".join(re.findall(r"(?:^|\(required\) )((?:-\w|--[\w-]+) [^\s,]+|[^\s,]+)", told[1]))
    if told := re.match(r"Error parsing ([^:]+): .*(?:for int\(\) with base 10|(to float)): ('.*?')", text):
        return f"{told[1]} {told[3]} is not a {'number' if told[2] else 'whole number'}"
    if told := re.match(r"(?i)invalid choice '(.*)' for argument '(.*)'\.\s+Expected one of \((.*)\)", text):
        choices = re.findall(r"'(.*?)'", told[3])
        return f"{told[2]} {told[1]} is not one of {', '.join(sorted(choices, key=lambda choice: int(choice) if choice.isdigit() else 0))}"
    if told := re.match(r"Missing value for argument '(?:.*/)?(.*)'\.", text):
        return f"{told[1]} needs a value"
    if told := re.match(r"Unrecognized options: (.*)", text):
        given = told[1].split(", ")
        return f"unrecognized options: {', '.join([one for one in given if one.startswith('-')] or given)}"
    return text


def as_dataclass(model: Any, base: Any) -> Any:
    """A pydantic configuration as a dataclass for tyro: names, types, defaults of `base`, and the descriptions as help.

    tyro parses, pydantic judges: so a value out of range is told in novelette's words.
    """
    hints = typing.get_type_hints(model, include_extras=True)
    fields = [
        (name, Annotated[hints[name], arg(help=info.description)], dataclasses.field(default=getattr(base, name)))
        for name, info in model.model_fields.items()
    ]
    made = dataclasses.make_dataclass("Settings", fields, frozen=True)
    made.__doc__ = f"{model.__module__.rpartition('.')[2].replace('_', '-')}'s own settings."
    return made


def given_settings(settings: Any, args: Sequence[str]) -> dict[str, Any]:
    """The settings that a person gave: those that stand in `args`, though their values be the recipe's."""
    words = {arg.partition("=")[0].replace("_", "-").replace("--no-", "--") for arg in args}
    return {name: value for name, value in dataclasses.asdict(settings).items() if f"--{name.replace('_', '-')}" in words}
