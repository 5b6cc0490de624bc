# SPDX-License-Identifier: Apache-2.0
"""Pages with instructions to add something, and the files that a person who follows them has changed.

The pages are in docs/how-to. The sentence "To add a board: ..." names every file to change or to add:
`name.ext`, or a folder with a trailing slash for new files in it. A part such as <family> matches any name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Final, List, Set

PLACE: Final = re.compile(r"[\w<>.-]*/[\w<>./-]*|[\w<>.-]+\.(?:py|json|md|c|toml)\b")
HOW_TO: Final = Path(__file__).resolve().parents[2] / "docs" / "how-to"
NOT_SOURCES: Final = {"__pycache__", "projects", ".git"}


def how_to(name: str) -> str:
    """Return the content of a page of docs/how-to."""
    return (HOW_TO / f"{name}.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> List[str]:
    """Return the content of the fenced blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def places_to_add(what: str, page: str) -> List[str]:
    """Return the files and folders that a page names in its sentence "To add WHAT: ...".

    The sentence ends at a full stop before a space or at the end of its paragraph.
    """
    plain = re.sub(r"[ \t]*\n[ \t]*(?=\S)", " ", page).replace("`", "")
    found = re.search(rf"To add {re.escape(what)}: (.+?)(?:\.(?=\s|$)|\n|$)", plain)
    assert found is not None, f"The page has no sentence 'To add {what}: ...'."
    return [place.rstrip(".") for place in PLACE.findall(found[1])]


def read_tree(root: Path) -> Dict[str, bytes]:
    """Return the content of every file below root by relative path, without build and cache folders."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not NOT_SOURCES & set(path.relative_to(root).parts)
    }


def changed_files(before: Dict[str, bytes], after: Dict[str, bytes]) -> Set[str]:
    """Return the paths whose content differs between two trees, and those that only one tree has."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def check_places(changed: Set[str], places: List[str]) -> None:
    """Assert that a page names every changed file, and that every place on the page was changed."""
    matches = {place: {name for name in changed if _pattern(place).fullmatch(name)} for place in places}
    named = {name for names in matches.values() for name in names}
    assert changed - named == set(), f"Files changed that the page does not name. The page names {places}."
    assert [place for place, names in matches.items() if not names] == [], (
        f"Places on the page that were not changed. Changed files: {sorted(changed)}."
    )


def _pattern(place: str) -> re.Pattern[str]:
    parts = re.split(r"<\w+>", place)
    inside = ".+" if place.endswith("/") else ""
    return re.compile(r"(?:.*/)?" + "[^/]+".join(re.escape(part) for part in parts) + inside)
