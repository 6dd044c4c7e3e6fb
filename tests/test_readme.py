"""The README's commands run, and print what the README says that they print.

`python tests/test_readme.py` writes the output anew into the README. Times, hashes and
names that differ from run to run are masked on both sides; one hash that stands in
two places must stand in both.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.sqlite

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOME = "/home/ann"
MARK = "--end of output--"


def steps(block):
    """The commands of a block, each with the output written below it."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([[line], []])
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [("\n".join(command), "\n".join(output)) for command, output in found]


def run(commands, folder):
    """What each command prints, all in one shell, as a reader would type them."""
    script = ["exec 2>&1"]
    for command in commands:
        script.append(re.sub(r"^[$>] ", "", command, flags=re.MULTILINE))
        script.append(f"echo '{MARK}'")
    kept = {key: value for key, value in os.environ.items() if key[:6] != "ACCORD"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env={**kept, "PATH": path, "COLUMNS": "100", "LOGNAME": "ann"},
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = done.stdout.split(f"{MARK}\n")[: len(commands)]
    return [_tidy(output.replace(str(folder), HOME)) for output in outputs]


def _tidy(output):
    return "\n".join(line.rstrip() for line in output.rstrip("\n").split("\n"))


def masked(text):
    """The text without what differs from run to run."""
    seen = {}

    def name(match):
        return f"<{seen.setdefault(match[0], len(seen) + 1)}>"

    text = re.sub(
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?Z| ?UTC)?", "<time>", text
    )
    # Keys and signatures in base 64, and the eight digits by which a key is known.
    text = re.sub(r"\+[0-9a-f]{8}\+[\w+/]{40,}=*", "+<key>", text)
    text = re.sub(r"\((id )?[0-9a-f]{8}\)", "(<key id>)", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", name, text)
    text = re.sub(r"\b\d+ days? later", "<days> later", text)
    return re.sub(r"[ ─━]{2,}", "  ", text)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The README's commands as (command, what it says, what they printed)."""
    found = [
        s for block in BLOCK.findall(README.read_text("utf-8")) for s in steps(block)
    ]
    outputs = run([command for command, _ in found], tmp_path_factory.mktemp("tour"))
    assert len(outputs) == len(found)
    return [(c, said, got) for (c, said), got in zip(found, outputs, strict=True)]


def test_the_readme_prints_what_it_says(printed):
    """Every command of the README, run in order, prints what stands below it."""
    said = masked("\n".join(f"{command}\n{said}" for command, said, _ in printed))
    got = masked("\n".join(f"{command}\n{got}" for command, _, got in printed))

    assert got == said, "run 'python tests/test_readme.py' and read what changed"


def test_the_first_leaf_is_the_first_head(printed):
    """The leaf that `sha256sum` computes is the tree head that `verify` prints."""
    leaf = next(got for command, _, got in printed if "sha256sum" in command)
    verified = next(got for command, _, got in printed if command == "$ accord verify")

    assert leaf.split()[0] in verified


def test_the_readme_names_the_commands_that_ci_runs():
    """`make demo` and `make test` are the README's two commands."""
    assert "```sh\nmake demo " in README.read_text("utf-8")
    assert "\nmake test " in README.read_text("utf-8")


def rewrite():
    """Write what the commands print now into the README."""
    text = README.read_text("utf-8")
    blocks = [steps(block) for block in BLOCK.findall(text)]
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(
            run([command for block in blocks for command, _ in block], folder)
        )
    filled = iter(
        "".join(
            f"{command}\n{output}\n" if output else f"{command}\n"
            for command, output in ((command, next(outputs)) for command, _ in block)
        )
        for block in blocks
    )
    text = BLOCK.sub(lambda _: f"```console\n{next(filled)}```", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
