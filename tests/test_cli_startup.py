"""What has to be quick stays quick: help, version and completion load no database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_desk import OPEN, done
from click import Context, Group
from places import address

pytestmark = pytest.mark.sqlite

HEAVY = ("sqlalchemy", "eventsourcing", "rich", "msgspec")
LOADED = (
    "import sys; from cli.main import root\n"
    "try: root(sys.argv[1:])\n"
    "except SystemExit: pass\n"
    f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which Ann of Acme keeps a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCORD_ACTOR", "ann@acme")
    monkeypatch.setenv("ACCORD_DB", address("accord.db"))
    return tmp_path


def loaded(*words: str, **environment: str) -> tuple[str, str]:
    """What a run printed, and which of the heavy libraries it loaded."""
    found = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout, found.stderr.splitlines()[-1]


def complete(line: str) -> str:
    """What the shell is offered for a line, of which the last word is incomplete."""
    words = line.split(" ")
    stdout, _ = loaded(
        _ACCORD_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
    )
    return stdout.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--help",),
        ("show", "--help"),
        ("append", "--help"),
        ("completion", "bash"),
        ("completion", "zsh"),
        ("completion", "fish"),
    ],
)
def test_no_database_is_loaded(words: tuple[str, ...]):
    """Version, help and completion scripts load none of the heavy libraries."""
    stdout, heavy = loaded(*words)
    assert stdout
    assert heavy == "[]"


def test_completing_a_command_loads_no_database():
    """Pressing the tab key for a command is answered at once."""
    stdout, heavy = loaded(
        _ACCORD_COMPLETE="bash_complete", COMP_WORDS="accord ag", COMP_CWORD="1"
    )
    assert stdout == "plain,agreement\n"
    assert heavy == "[]"


def test_completing_verbs_and_options():
    """Verbs of a noun complete, and a verb's options."""
    assert "plain,sign-loi" in complete("accord agreement sign-l")
    assert "plain,--signatories" in complete("accord agreement sign-loi x --sig")
    for line, word in (
        ("accord agreement sign", "2"),
        ("accord system import m.csv x --st", "5"),
        ("accord funding settle x D1 --bank", "5"),
    ):
        _, heavy = loaded(
            _ACCORD_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=word
        )
        assert "sqlalchemy" not in heavy, line
        assert "eventsourcing" not in heavy, line


def test_completing_deals_and_views():
    """Deals complete from the ledger, views from the registry, demos from the package."""
    assert complete("accord show ") == ""
    done("init")
    done(*OPEN)
    assert complete("accord show ac") == "plain,acme-orion"
    assert complete("accord show x") == ""
    assert complete("accord --db sqlite:///none.db show ac") == ""
    assert "plain,standing" in complete("accord view sta")
    assert "plain,openai-nvidia" in complete("accord demo op")


def test_completing_what_can_be_asked_about():
    """What a figure can be asked of completes by its own name where it has one alone."""
    assert complete("accord why acme-orion ann") == ""
    done("demo", "milestone-machine")
    assert complete("accord why milestone-machine T").splitlines() == [
        f"plain,T{number}" for number in range(1, 5)
    ]
    assert complete("accord why milestone-machine disb") == "plain,disbursed"
    assert complete("accord why milestone-machine comm") == ""
    assert complete("accord why milestone-machine funding/c") == (
        "plain,funding/committed"
    )
    assert complete("accord why nobody-knows T") == ""


def test_version():
    """The version is that of the package."""
    from ledger.version import __version__

    assert done("--version").stdout == f"accord {__version__}\n"


def test_help_lists_every_command_by_section():
    """Plain help names every command and noun, and shows how to begin."""
    from cli.main import PLACES

    shown = done("--help").stdout
    for name in PLACES:
        assert f"\n  {name} " in shown
    assert "accord demo" in shown


def test_the_help_says_of_each_command_what_it_says_of_itself():
    """The lines of the help, written where no command is loaded, are the commands' own."""
    from cli.main import PLACES, root

    context = Context(root)
    for name, place in PLACES.items():
        command = root.get_command(context, name)
        assert command.name == name
        assert command.get_short_help_str(limit=100) == place.told


def test_every_command_has_an_example():
    """The help of each command outside the nouns ends with an example."""
    from cli.commands.nouns import NOUNS
    from cli.main import PLACES, root

    context = Context(root)
    leaves = [root.get_command(context, name) for name in PLACES if name not in NOUNS]
    for group in [one for one in leaves if isinstance(one, Group)]:
        leaves += group.commands.values()
    for command in leaves:
        if command.name not in {"views", "key"}:
            shown = command.get_help(Context(command, info_name=command.name))
            assert "\n  Example:\n    " in shown, shown
            assert "accord " in shown.partition("Example:")[2]
            assert "\b" not in shown
            assert "\\b" not in shown
