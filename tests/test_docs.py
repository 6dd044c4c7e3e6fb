"""What is written about the code is held against the code."""

import re
import shlex
from pathlib import Path

import pytest

from cli import handbook
from cli.hints import HINTS, PARAMETERS
from ledger.commands.registry import COMMANDS, COMMON
from ledger.domain.catalogue import AGGREGATES, EVENTS
from ledger.rules.rulebook import CODES
from projections.registry import VIEWS

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parent.parent
PROGRAMS = {"verifier.py", "bundle.py"}
PAGES = sorted(
    page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if page.is_file()
)
DOMAIN_CODES = [
    *(f"AGR-{number:02}" for number in range(1, 14)),
    *(f"MIL-{number:02}" for number in range(1, 7)),
    *(f"UNT-{number:02}" for number in (*range(1, 8), *range(9, 15))),
    *(f"CER-{number:02}" for number in range(1, 7)),
    *(f"FND-{number:02}" for number in range(1, 16)),
    *(f"REC-{number:02}" for number in (*range(1, 8), 9, 10)),
]
LATER_CODES = {"UNT-08", "REC-08"}


def written(name: str) -> str:
    """A page of the reference as it stands in the repository."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", handbook.PAGES)
def test_the_reference_is_what_the_code_says(name):
    """A page of the reference is exactly what `make docs` would write now."""
    assert written(name) == handbook.PAGES[name](), "run 'make docs'"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.tag())
def test_every_event_says_what_happened(event):
    """An event has a tag, one sentence of its own, and a place in the reference."""
    first = (event.__doc__ or "").split("\n")[0]

    assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", event.tag())
    assert re.fullmatch(r"[A-Z].*\.", first)
    assert f"### `{event.tag()}`\n\n{first}\n" in written("events.md")


def test_no_two_events_say_the_same():
    """Tags are unique, and so are the sentences that stand for them."""
    assert len({event.tag() for event in EVENTS}) == len(EVENTS)
    assert len({event.__doc__ for event in EVENTS}) == len(EVENTS)


def _required(command, *kinds):
    return {
        f"--{p.name.replace('_', '-')}"
        for p in command.parameters
        if p.required and not p.positional and (not kinds or p.item in kinds)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_told_with_an_example(name):
    """A command has an imperative line, named parameters, and examples that would do."""
    command = COMMANDS[name]
    options = {f"--{p.name.replace('_', '-')}" for p in command.parameters}
    options |= {o.replace("--", "--no-", 1) for o in _required(command, bool)}
    options |= {f"--{common.replace('_', '-')}" for common in COMMON}

    assert re.fullmatch(r"[A-Z].*\.", command.summary)
    assert all(parameter.text for parameter in command.parameters)
    assert f"### `{name}`\n\n{command.summary}\n" in written("commands.md")
    assert command.examples
    for example in command.examples:
        words = shlex.split(example)
        given = {word for word in words if word.startswith("--")}
        assert words[:3] == ["accord", *name.split()]
        assert given <= options, given - options
        given |= {word.replace("--no-", "--", 1) for word in given}
        # The positions of a reversal stand where other commands have their deal.
        required = _required(command) - {"--positions"}
        assert required <= given, required - given


@pytest.mark.parametrize("code", DOMAIN_CODES)
def test_every_rule_of_the_domain_is_there(code):
    """Each code of the domain's list stands in the reference, with a sentence."""
    assert f"\n| {code} | " in written("rules.md")


def test_no_code_is_used_before_its_time():
    """Codes kept for later are neither in force nor in the reference."""
    assert not LATER_CODES & {*CODES, *handbook.ELSEWHERE}


def test_every_code_that_is_raised_is_in_the_reference():
    """No refusal carries a code that nobody can look up."""
    listed = {*CODES, *handbook.ELSEWHERE}
    for source in (ROOT / "ledger").glob("**/*.py"):
        raised = re.findall(r'Refused\(\s*"([A-Z]+-\d+)"', source.read_text("utf-8"))
        assert set(raised) <= listed, (source.name, set(raised) - listed)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_view_is_a_question(view):
    """A view has a question that it answers, and a place in the reference."""
    assert view.question.endswith("?")
    assert f"## `{view.name}`\n\n{view.question}\n" in written("views.md")


def test_every_aggregate_names_its_stream():
    """The reference says, for each aggregate, what its stream is called."""
    for kind in AGGREGATES:
        assert f"Stream `{kind.kind}/" in (kind.__doc__ or ""), kind


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """A link to a file of this repository names a file that is there."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_decisions_are_numbered_and_told_alike():
    """Each decision has its number and says context, decision, consequences."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    for number, page in enumerate(pages, start=1):
        text = page.read_text("utf-8")
        assert page.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        for heading in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"\n## {heading}\n" in text, page.name


def test_make_explains_each_target():
    """Every target that the README names is in the Makefile, with its sentence."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = dict(re.findall(r"^([a-z]+):(?!=).*## (.+\.)$", makefile, re.MULTILINE))
    for name in ("setup", "demo", "test", "lint", "types", "check", "bench", "docs"):
        assert name in targets
    for name in re.findall(r"`make ([a-z]+)`", (ROOT / "README.md").read_text("utf-8")):
        assert name in targets


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_requirements_are_names_versions_and_hashes(name):
    """Nothing is fetched that has no version and hash, and from no named address."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_every_hint_is_given_and_has_words():
    """What the ledger names, the command line has words for, and for nothing else."""
    given: set[str] = set()
    for room in ("ledger", "projections", "cli"):
        for source in (ROOT / room).glob("**/*.py"):
            text = source.read_text("utf-8")
            given |= set(re.findall(r'\.hinting\(\s*"([a-z-]+)"', text))
    assert given == set(HINTS)
    known = {one.name for command in COMMANDS.values() for one in command.parameters}
    assert known | set(COMMON) >= PARAMETERS


def test_the_ledger_knows_no_shell():
    """No flag and no command line is named in a sentence of the ledger's."""
    shell = re.compile(r"'accord (?!init'\)\))|[a-z] --[a-z]|ACCORD_")
    for source in (ROOT / "ledger").glob("**/*.py"):
        # A command's examples are its documentation, and a verifier is a program too.
        if source.parent.name != "commands" and source.name not in PROGRAMS:
            assert not shell.search(source.read_text("utf-8")), source
