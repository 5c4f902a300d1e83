"""The command line's root: global options, nouns and commands."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.core import TyperGroup, TyperOption

import marketctl.reassembly  # noqa: F401 - adds `packs reassemble`.
from marketctl import (
    deployments,
    doctor,
    fragments,
    models,
    operations,
    packs,
    plans,
    predict,
    search,
    selftest,
    specify,
    up,
)
from marketctl.exit_codes import EPILOG
from marketctl.options import flattened
from marketctl.output import Printer
from marketctl.session import Session
from marketctl.settings import ENVIRONMENT, Settings


class RootGroup(TyperGroup):
    """A group whose own options may also stand after a command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Puts the global options in front, then parses; as Typer calls it.

        Args:
            ctx: The context.
            args: The command line without the program's name.
        """
        front, rest = self._split(args, complete=ctx.resilient_parsing)
        return super().parse_args(ctx, [*front, *rest])

    def _split(self, args: list[str], *, complete: bool) -> tuple[list[str], list[str]]:
        options = dict(self._global_options())
        front: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
                break
            name, assigned = word.partition("=")[:2]
            joined = word[:2] if not word.startswith("--") and len(word) > 2 else name
            option = options.get(word) or (options.get(name) if assigned else options.get(joined))
            if option is None:
                rest.append(word)
            elif option.is_flag or word not in options:
                front.append(word)
            elif (value := next(words, None)) is not None:
                front += [word, value]
            elif not complete:
                raise typer.BadParameter("it wants a value", param_hint=word)
        return front, rest

    def _global_options(self) -> Iterator[tuple[str, TyperOption]]:
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and str(parameter.envvar).startswith(ENVIRONMENT):
                for name in parameter.opts:
                    yield name, parameter


app = typer.Typer(
    name="marketctl",
    cls=RootGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
)


def _root(context: typer.Context, settings: Settings) -> None:
    """Cut classes out of trained classifiers, pack them into one model, serve it with Triton."""
    settings.check()
    context.obj = Session(settings, Printer(settings.output, quiet=settings.quiet))


app.callback()(flattened(_root))
for _noun in (models, plans, fragments, packs, deployments, operations):
    app.add_typer(_noun.app)
for _command in (specify, search, predict, up, doctor, selftest):
    _command.add_to(app)
