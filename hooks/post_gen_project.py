# SPDX-License-Identifier: Apache-2.0
"""Post-generation hook: completes a platform and prints the next commands.

The hook moves the files of the chosen board family to the platform's root and copies files that are never
rendered. It runs in the platform's directory, may run twice, and uses neither network nor shell. Answers
reach this file only as JSON inside one string literal, so that none of them can become code.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

# Build file of each build system. A platform keeps only that of the chosen build system.
BUILD_FILES = {"make": "Makefile", "cmake": "CMakeLists.txt"}
# Marks a build file of this template; it is in the first five lines. pre_gen_project.py has a copy.
OURS = "# Builds the firmware of a project of the platform "
# Files of a family that only the bake needs: includes of README.md, and the table of tools.
FAMILY_ONLY = ("first_minutes.md", "new_board.md", "your_board.md", "tools.json")
# Directory for C of the owner; some families, such as `custom`, create it. pre_gen_project.py has a copy.
OWN_PORT = "port"
# Files of every family, unless the family has a file of that name.
COMMON = "common"
# From the template -> into the platform. A directory is replaced as a whole, a file is overwritten.
COPIES = (
    ("runtime", "runtime"),
    ("docs/boards-json.md", "docs/boards-json.md"),
    ("docs/compile.md", "docs/compile.md"),
    ("examples/digits/digits_int8.onnx", "models/digits_int8.onnx"),
    ("examples/digits/digits_int8.tar", "models/digits_int8.tar"),
    ("examples/digits/digits_aot.tar", "models/digits_aot.tar"),
    ("examples/digits/digits_test.npz", "models/digits_test.npz"),
)
# Launch scripts for another interpreter than TVM's, which TVM looks for before the API server. TVM's versions
# pass different arguments; the server accepts all. Every project gets both scripts.
LAUNCHED_BY = "This platform was baked with another Python for its API server."
LAUNCHERS = {
    "launch_microtvm_api_server.sh": (
        '#!/bin/sh\n# {mark}\nexec {sh} "$(dirname "$0")/microtvm_api_server.py" "$@"\n'
    ),
    "launch_microtvm_api_server.bat": (
        '@echo off\r\nrem {mark}\r\n"{python}" "%~dp0microtvm_api_server.py" %*\r\n'
    ),
}
HEAD_BYTES = 4096
# Tool -> instructions to install it.
PACKAGES = "runtime/host/system/packages.json"
# Python packages of the platform: file -> kind.
REQUIREMENTS = {
    "requirements.txt": "for the command line",
    "requirements-compile.txt": "optional, compiles your own models",
}
# Package -> import name, if the two differ.
MODULES = {
    "pyserial": "serial",
    "apache-tvm": "tvm",
    "apache-tvm-ffi": "tvm_ffi",
    "ai-edge-litert": "ai_edge_litert",
}
# Files in runtime/ of a checkout that must not be copied.
NOT_COPIED = ("__pycache__", ".*", "*.o", "*.a", "build", "tests")

# A tool or a package: kind, label, path or None, installation lines.
Row = Tuple[str, str, Optional[str], List[str]]


def lift_family(platform: Path, template: Path, family: str, build_system: str) -> List[str]:
    """Move the files of the chosen family to the platform's root, and delete those of the others.

    Args:
        platform: Directory of the platform.
        template: Directory of the template.
        family: Chosen board family.
        build_system: "make" or "cmake".

    Returns:
        Names of the owner's files that were kept in place of rendered ones.
    """
    kept = []
    families = platform / "families"
    not_chosen = {file for name, file in BUILD_FILES.items() if name != build_system}
    for folder in (families / COMMON, families / family):
        for path in sorted(folder.iterdir()):
            if path.name in FAMILY_ONLY or path.name in not_chosen:
                continue
            if is_owners(platform / path.name):
                kept.append(path.name)
            else:
                path.replace(platform / path.name)
    for name in known_families(template):
        shutil.rmtree(families / name)
    if not any(families.iterdir()):  # it contains files of the owner otherwise
        families.rmdir()
    for file in not_chosen:
        if is_ours(platform / file):  # left by an earlier bake
            (platform / file).unlink()
    return kept


def is_owners(path: Path) -> bool:
    """Return whether the path is the owner's C directory, which is not empty since an earlier bake."""
    return path.name == OWN_PORT and path.is_dir() and any(path.iterdir())


def is_ours(build_file: Path) -> bool:
    """Return whether this template wrote that build file."""
    return build_file.is_file() and any(
        line.startswith(OURS) for line in head_of(build_file).splitlines()[:5]
    )


def head_of(path: Path) -> str:
    """Return the first HEAD_BYTES of a file, which may be of any size."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8", "replace")


def known_families(template: Path) -> List[str]:
    """Return the names of the template's board families."""
    (rendered,) = template.glob("*cookiecutter.platform_slug*")
    return [path.name for path in sorted((rendered / "families").iterdir()) if path.is_dir()]


def write_launchers(platform: Path, python: str) -> None:
    """Write the launch scripts for an interpreter, or remove those of an earlier bake.

    Args:
        platform: Directory of the platform.
        python: Absolute path of the interpreter; empty for TVM's own.
    """
    for name, text in LAUNCHERS.items():
        path = platform / name
        if python:
            words = text.format(mark=LAUNCHED_BY, python=python, sh=shlex.quote(python))
            path.write_bytes(words.encode("utf-8"))
            path.chmod(0o755)
        elif path.is_file() and LAUNCHED_BY in head_of(path):
            path.unlink()


def copy_parts(platform: Path, template: Path) -> None:
    """Copy the runtime and the bundled model into the platform."""
    for source, target in ((template / source, platform / target) for source, target in COPIES):
        if source.is_dir():
            if target.exists():
                shutil.rmtree(target)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)


def find_tools(tools: List[Dict[str, Any]], packages: Dict[str, Any], build_system: str) -> List[Row]:
    """Look for tools and return a row for each. Skip tools that only another build system needs.

    Args:
        tools: Tools of the board family. Without "install", the first of "any_of" is the tool to install.
        packages: Instructions to install each tool.
        build_system: "make" or "cmake".

    Returns:
        Rows of kind, label, path or None, and installation lines.
    """
    return [
        (
            tool["kind"],
            tool["label"],
            next(filter(None, map(shutil.which, tool["any_of"])), None),
            install_lines([packages[name] for name in tool.get("install", tool["any_of"][:1])]),
        )
        for tool in tools
        if tool.get("build_system", build_system) == build_system
    ]


def install_lines(hints: List[Dict[str, str]]) -> List[str]:
    """Return instructions to install tools. Those for macOS need a known command for every tool."""
    lines = []
    from_apt = [hint for hint in hints if "apt" in hint]
    if from_apt:
        lines.append(f"sudo apt-get install {' '.join(hint['apt'] for hint in from_apt)}   # Debian, Ubuntu")
    if all("macos" in hint for hint in from_apt):
        lines += [f"{hint['macos']}   # macOS" for hint in from_apt]
    return lines + [hint.get("short", hint["how"]) for hint in hints if "how" in hint]


def is_for_this_python(requirement: str) -> bool:
    """Return whether the marker of a line of requirements.txt, if it has one, is true for this Python."""
    marker = re.search(r'; python_version ([<>=]+) "(\d+)\.(\d+)"', requirement)
    if marker is None:
        return True
    version = (int(marker[2]), int(marker[3]))
    return {
        "<": sys.version_info[:2] < version,
        "==": sys.version_info[:2] == version,
        ">=": sys.version_info[:2] >= version,
    }[marker[1]]


def find_packages(platform: Path, file: str) -> List[Row]:
    """Look up the packages of a file of REQUIREMENTS in this Python; return rows as find_tools does."""
    requirements = (platform / file).read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    names = dict.fromkeys(
        re.split("[<>=;]", line)[0].strip() for line in lines if line and is_for_this_python(line)
    )
    install = [f"python -m pip install -r {file}"]
    return [
        (
            REQUIREMENTS[file],
            name,
            sys.executable if find_spec(MODULES.get(name, name)) else None,
            install,
        )
        for name in names
    ]


def report(answers: Dict[str, str], where: str, kept: List[str], rows: List[Row]) -> None:
    """Print the tools found, instructions to install the others, and the next commands."""
    print(
        f"\nThe platform has been written: board family {answers['board_family']}, "
        f"built with {answers['build_system']}."
    )
    python = answers["server_python"]
    if python and not os.access(python, os.X_OK):
        print(f"Warning: the Python of the API server, {python}, is not an executable file on this machine.")
    for name in kept:
        print(f"Kept unchanged: {name}/, which contains your files.")
    kinds = list(dict.fromkeys(kind for kind, *_ in rows))
    for kind in kinds:
        print(f"\nTools, {kind}:")
        of_kind = [row for row in rows if row[0] == kind]
        for index, (_, label, path, install) in enumerate(of_kind):
            print(f"  {'found' if path else 'missing':8} {label:14} {path or ''}".rstrip())
            # One command installs several packages. It follows the last missing one.
            if not path and not any(row[2] is None and row[3] == install for row in of_kind[index + 1 :]):
                for command in install:
                    print(f"           {command}")
    print("\nNext:")
    for command in (
        f"cd {shlex.quote(where)}",
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "python -m pip install -r requirements.txt",
        "python -m pip install -r requirements-compile.txt",
        "python mtvm.py check",
    ):
        print(f"  {command}")
    print("\nREADME.md of the platform describes the next steps.")


def explained(hook: Callable[[], int]) -> int:
    """Run a hook and return its exit status. Print an error message for errors of the system."""
    try:
        return hook()
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print(
            f"The platform is incomplete: {ascii(str(place)) + ': ' if place else ''}{reason!a}. "
            "Make sure that the directory is writable and its disk is not full, then bake again with "
            "--overwrite-if-exists.",
            file=sys.stderr,
        )
        return 1


def main() -> int:
    """Run the hook; return 0, or 1 if the template is incomplete."""
    # A path may contain characters that the console cannot show.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    bake = json.loads(r"""{{ {"answers": cookiecutter, "template": template_directory()} | tojson }}""")
    answers, template, platform = bake["answers"], Path(bake["template"]), Path.cwd()
    missing = [source for source, _ in COPIES if not (template / source).exists()]
    if missing:
        print(
            f"The template at {template} is incomplete, missing: {', '.join(missing)}. "
            "Clone or download the template again.",
            file=sys.stderr,
        )
        return 1
    family = answers["board_family"]
    tools = json.loads((platform / "families" / family / "tools.json").read_text(encoding="utf-8"))
    kept = lift_family(platform, template, family, answers["build_system"])
    copy_parts(platform, template)
    write_launchers(platform, answers["server_python"])
    (platform / "mtvm.py").chmod(0o755)  # a zip of the template has no run bit
    # cruft gives no _output_dir, and bakes an update into a temporary directory.
    where = os.fspath(platform) if "_output_dir" in answers else platform.name
    packages = json.loads((platform / PACKAGES).read_text(encoding="utf-8"))
    rows = find_tools(tools, packages, answers["build_system"])
    for file in REQUIREMENTS:
        rows += find_packages(platform, file)
    with contextlib.suppress(BrokenPipeError):  # the reader of the report is gone; the platform is complete
        report(answers, where, kept, rows)
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(explained(main))
