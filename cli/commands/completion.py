"""`accord completion`: the script that completes commands in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes accord's commands in a shell.

    \b
    Example:
      eval "$(accord completion bash)"
      eval "$(accord completion zsh)"
      accord completion fish > ~/.config/fish/completions/accord.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root().command
    click.echo(kind(root, {}, "accord", "_ACCORD_COMPLETE").source())
