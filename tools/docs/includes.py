# SPDX-License-Identifier: Apache-2.0
"""Blocks of hand-written pages that another file owns.

    <!-- copied from PATH: FRAGMENT -->    or    <!-- generated: NAME -->
    ...
    <!-- end -->

NAME is a key of GENERATORS in pages.py. PATH is relative to the repository. Of Markdown, FRAGMENT is a
heading, and its section without the heading is copied. Of Python, FRAGMENT is the beginning of a paragraph of
the module's docstring, and the text up to the next paragraph of that kind is copied. PATH:Class names the
docstring of a class.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Callable, Final, Mapping

from tools.docs.markdown import plain

BLOCK: Final = re.compile(
    r"(?P<head><!-- (?:copied from (?P<path>\S+?): (?P<fragment>.+?)|generated: (?P<name>[\w-]+)) -->\n)"
    r".*?(?P<end><!-- end -->)",
    re.DOTALL,
)
JINJA_INCLUDE: Final = re.compile(r'\{% include "([^"]+)" %\}')
Generator = Callable[[Path], str]

SLUG: Final = "{{cookiecutter.platform_slug}}"
NEXT_PARAGRAPH: Final = re.compile(r"^(?:To add |Attributes:|Args:|Raises:|Returns:)", re.MULTILINE)


def fill(page: str, root: Path, generators: Mapping[str, Generator]) -> str:
    """Return a page with the content of its blocks replaced by that of their owners.

    Args:
        page: Text of the page.
        root: Directory of the repository.
        generators: Name of a generated block -> the function that returns its content.

    Raises:
        ValueError: A source has no such fragment.
        KeyError: No generator has the name of a block.
    """

    def content(found: re.Match[str]) -> str:
        if found["name"]:
            text = generators[found["name"]](root)
        else:
            text = fragment_of(found["path"], found["fragment"], root)
        return f"{found['head']}\n{text.strip()}\n\n{found['end']}"

    return BLOCK.sub(content, page)


def fragment_of(path: str, fragment: str, root: Path) -> str:
    """Return a fragment of a file. Raises ValueError if there is none."""
    name, _, owner = path.partition(":")
    if name.startswith("families/"):
        name = f"{SLUG}/{name}"
    text = (root / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        return plain(_paragraph(_docstring(text, owner), fragment, path))
    return _section(_resolved(text, root), fragment, path)


def _docstring(text: str, owner: str) -> str:
    module = ast.parse(text)
    if not owner:
        return ast.get_docstring(module) or ""
    (node,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == owner)
    return ast.get_docstring(node) or ""


def _paragraph(docstring: str, fragment: str, path: str) -> str:
    begin = re.search(rf"^{re.escape(fragment)}", docstring, re.MULTILINE)
    if begin is None:
        raise ValueError(f"{path}: no paragraph begins with {fragment!r}")
    end = NEXT_PARAGRAPH.search(docstring, begin.end())
    return docstring[begin.start() : end.start() if end else len(docstring)]


def _resolved(text: str, root: Path) -> str:
    """Replace the includes of a rendered file by the files, and remove what else belongs to Jinja."""
    text = JINJA_INCLUDE.sub(lambda found: (root / SLUG / found[1]).read_text(encoding="utf-8"), text)
    return re.sub(r"\{%.*?%\}", "", text)


def _section(text: str, heading: str, path: str) -> str:
    begin = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if begin is None:
        raise ValueError(f"{path}: no heading {heading!r}")
    end = re.compile(rf"^#{{1,{len(begin[1])}}} ", re.MULTILINE).search(text, begin.end())
    return text[begin.end() : end.start() if end else len(text)]
