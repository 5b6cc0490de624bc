# SPDX-License-Identifier: Apache-2.0
"""Finishes a platform: lifts the chosen board family, copies what is never rendered, says what is next.

Runs in the platform's directory; safe to run twice; no network, no shell. Answers reach this file only as
JSON inside one string literal, so none of them can become code.
"""

import io
import json
import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

# The build file of each build system; the platform gets the one of the chosen.
BUILD_FILES = {"make": "Makefile", "cmake": "CMakeLists.txt"}
# Stands in the first lines of each, and tells it from an owner's; pre_gen_project.py has it too.
OURS = "# Builds the firmware of a project of the platform "
# Files of a family that serve the bake and not the platform: includes of README.md, and the table of tools.
FAMILY_ONLY = ("first_minutes.md", "new_board.md", "tools.json")
# A family may begin it, as `custom` does, and its owner writes it; pre_gen_project.py has it too.
OWN_PORT = "port"
# What every family gets, unless it brings a file of that name.
COMMON = "common"
# From the template -> into the platform. A directory is replaced whole, a file is overwritten.
COPIES = (
    ("runtime", "runtime"),
    ("examples/digits/digits_aot.tar", "models/digits_aot.tar"),
    ("examples/digits/digits_test.npz", "models/digits_test.npz"),
)
# Where another Python than TVM's is to run the API server: scripts that TVM looks for first. Each version of
# TVM hands over other words; the server takes them all. Both scripts go into every project.
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
# Tool -> how to install it.
PACKAGES = "runtime/host/system/packages.json"
# What a package is imported as, where that is not its name.
MODULES = {"pyserial": "serial"}
# What working in a checkout of the template leaves in runtime/.
NOT_COPIED = ("__pycache__", ".*", "*.o", "*.a", "build", "tests")

# A tool or a package: kind, label, where it is or None, how to install it.
Row = Tuple[str, str, Optional[str], List[str]]


def lift_family(platform: Path, template: Path, family: str, build_system: str) -> List[str]:
    """Move what the chosen family rendered to the platform's root, and drop what the others rendered.

    The names of what the platform keeps of its owner's instead.
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
    if not any(families.iterdir()):  # else the owner keeps something of that name
        families.rmdir()
    for file in not_chosen:
        if is_ours(platform / file):  # an earlier bake chose it
            (platform / file).unlink()
    return kept


def is_owners(path: Path) -> bool:
    """Whether it is the C that an earlier bake began: its owner's from then on."""
    return path.name == OWN_PORT and path.is_dir() and any(path.iterdir())


def is_ours(build_file: Path) -> bool:
    """Whether this template wrote that build file."""
    return build_file.is_file() and any(
        line.startswith(OURS) for line in head_of(build_file).splitlines()[:5]
    )


def head_of(path: Path) -> str:
    """The beginning of a file: it may be of any size."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8", "replace")


def known_families(template: Path) -> List[str]:
    """The names of the template's board families."""
    (rendered,) = template.glob("*cookiecutter.platform_slug*")
    return [path.name for path in sorted((rendered / "families").iterdir()) if path.is_dir()]


def write_launchers(platform: Path, python: str) -> None:
    """Write the launch scripts for an interpreter; for none, remove those of an earlier bake."""
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
    """Return rows (kind, label, path or None, lines that say how to install it), one for each tool.

    tools: of the board family; without "install" the first of "any_of" is the one to install. packages: how
    to install each. Left out are tools that only another build system needs.
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
    """Return the lines that say how to install tools. macOS: where its command is known for all of them."""
    lines = []
    from_apt = [hint for hint in hints if "apt" in hint]
    if from_apt:
        lines.append(f"sudo apt-get install {' '.join(hint['apt'] for hint in from_apt)}   # Debian, Ubuntu")
    if all("macos" in hint for hint in from_apt):
        lines += [f"{hint['macos']}   # macOS" for hint in from_apt]
    return lines + [hint.get("short", hint["how"]) for hint in hints if "how" in hint]


def find_packages(requirements: str) -> List[Row]:
    """Rows as of find_tools for the Python packages named in requirements.txt, looked up in this Python."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    names = dict.fromkeys(line.split(">")[0].strip() for line in lines if line)
    install = ["python -m pip install -r requirements.txt"]
    return [
        (
            "for the command line",
            name,
            sys.executable if find_spec(MODULES.get(name, name)) else None,
            install,
        )
        for name in names
    ]


def report(where: str, kept: List[str], rows: List[Row]) -> None:
    """Print which tools are there, how to install the others, and the first commands to type."""
    print("\nThe platform is written.")
    for name in kept:
        print(f"Kept as it is: {name}/, which is yours.")
    kinds = list(dict.fromkeys(kind for kind, *_ in rows))
    for kind in kinds:
        print(f"\nTools, {kind}:")
        for _, label, path, install in (row for row in rows if row[0] == kind):
            print(f"  {'found' if path else 'missing':8} {label:12} {path or ''}".rstrip())
            if not path:
                for command in install:
                    print(f"           {command}")
    print("\nNext:")
    for command in (
        f"cd {shlex.quote(where)}",
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "python -m pip install -r requirements.txt",
        "python mtvm.py check",
    ):
        print(f"  {command}")
    print("\nREADME.md there goes on from this point.")


def explained(hook: Callable[[], int]) -> int:
    """The exit status of a hook. What the system or an odd file refuses it becomes a sentence."""
    try:
        return hook()
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print(
            f"The platform is not whole: {ascii(str(place)) + ': ' if place else ''}{reason!a}. "
            "Check that the directory may be written and that its disk is not full, then bake it again with "
            "--overwrite-if-exists.",
            file=sys.stderr,
        )
        return 1


def main() -> int:
    """The exit status: 0, or 1 when the template is not whole."""
    # A path may hold what the console cannot show.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    bake = json.loads(r"""{{ {"answers": cookiecutter, "template": template_directory()} | tojson }}""")
    answers, template, platform = bake["answers"], Path(bake["template"]), Path.cwd()
    missing = [source for source, _ in COPIES if not (template / source).exists()]
    if missing:
        print(
            f"The template at {template} is not whole, it lacks: {', '.join(missing)}. "
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
    # cruft gives no _output_dir, and bakes an update into a directory that is soon gone.
    where = os.fspath(platform) if "_output_dir" in answers else platform.name
    requirements = (platform / "requirements.txt").read_text(encoding="utf-8")
    packages = json.loads((platform / PACKAGES).read_text(encoding="utf-8"))
    rows = find_tools(tools, packages, answers["build_system"]) + find_packages(requirements)
    report(where, kept, rows)
    return 0


if __name__ == "__main__":
    sys.exit(explained(main))
