"""Tell the first histories one by one, and print what kinds of difference each shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """A line for each history: the kinds of its differences."""
    import ledger

    assert Path(ledger.__file__).is_relative_to(ROOT), "the copy is not what is run"
    from soak import soak

    for seed in range(int(sys.argv[1])):
        kinds = sorted({one.kind for one in soak([seed]).differences})
        sys.stdout.write(json.dumps(kinds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
