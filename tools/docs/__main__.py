# SPDX-License-Identifier: Apache-2.0
"""Write the generated pages of docs/ and the JSON Schema of boards.json: python -m tools.docs [--check].

The generated files are committed, so that they can be read without a build. With --check the tool writes
nothing, prints each file that is not current, and exits with status 1 if there is one.
"""

from __future__ import annotations

import sys

from tools.docs.pages import ROOT, generated


def main() -> int:
    """Write or check the files, print the names of those that differ, and return the exit status."""
    is_check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not is_check:
        print(__doc__, file=sys.stderr)
        return 2
    stale = [
        (name, text)
        for name, text in generated().items()
        if not (ROOT / name).is_file() or (ROOT / name).read_text(encoding="utf-8") != text
    ]
    for name, text in stale:
        print(f"{name} is not current. next: run python -m tools.docs." if is_check else f"wrote {name}")
        if not is_check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text, encoding="utf-8")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
