# SPDX-License-Identifier: Apache-2.0
"""Rules that reject a model archive for a type of project before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Final, NamedTuple, Optional, Tuple

from runtime.host.errors import ArchiveError
from runtime.host.project.code_rules import first_finding, module_name
from runtime.host.project.finding import Finding

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive

_AS_STANDALONE: Final = "Export it with the AOT executor and C code, or use project_type=host_driven."


class Rule(NamedTuple):
    """A combination of model archive and project type that cannot work.

    Attributes:
        project_type: Type of project that the rule is about.
        applies: Function that returns True for an archive that breaks the rule.
        what: Problem, as the predicate of a sentence about the archive.
        next_step: An imperative sentence.
    """

    project_type: str
    applies: Callable[[ModelArchive], bool]
    what: str
    next_step: str


RULES: Final[Tuple[Rule, ...]] = (
    Rule(
        "host_driven",
        lambda archive: not archive.has_system_library,
        "has no system library, so a host cannot find its functions",
        "Export it with the packed interface and system-lib (tvmc: --runtime-crt-system-lib 1 "
        "--executor-aot-interface-api packed), or use project_type=standalone.",
    ),
    Rule(
        "host_driven",
        lambda archive: archive.interface == "c",
        "has the C interface and a system library, which TVM turns into C that does not compile",
        "Export it with the packed interface (interface-api=packed, unpacked-api=False).",
    ),
    Rule(
        "standalone",
        lambda archive: archive.style == "operator",
        "contains single operators instead of a model",
        "Use project_type=host_driven, the type for tuning.",
    ),
    Rule(
        "standalone",
        lambda archive: archive.executor == "graph",
        "is for the graph executor, which runs on a host",
        _AS_STANDALONE,
    ),
    Rule(
        "standalone",
        lambda archive: bool(archive.objects),
        "contains object files of the LLVM code generator, which do not describe their inputs and outputs",
        _AS_STANDALONE,
    ),
    Rule(
        "standalone",
        lambda archive: archive.interface == "packed" and not archive.has_system_library,
        "has the packed interface and no system library, so its functions cannot be found",
        "Export it with system-lib, or with the C interface (interface-api=c, unpacked-api=True).",
    ),
    Rule(
        "standalone",
        lambda archive: (
            archive.c_interface is not None and set(archive.c_interface.arguments) != {"inputs", "outputs"}
        ),
        "has a C interface that requires memory pools or devices from its caller",
        "Build the model without the executor options for memory pools and devices.",
    ),
)


def check_archive(archive: ModelArchive, project_type: str, has_extra_files: bool = False) -> None:
    """Raise ArchiveError when the archive cannot become a project of this type, or its code is known to fail.

    Args:
        archive: Model archive to check.
        project_type: host_driven or standalone.
        has_extra_files: The owner adds C files, which may register functions that the model's code looks up.
    """
    finding = (
        module_name(archive) or _misfit(archive, project_type) or first_finding(archive, has_extra_files)
    )
    if finding is not None:
        raise ArchiveError(f"The model archive {archive.path} {finding.what}.", finding.next_step)


def _misfit(archive: ModelArchive, project_type: str) -> Optional[Finding]:
    rules = (rule for rule in RULES if rule.project_type == project_type and rule.applies(archive))
    return next((Finding(rule.what, rule.next_step) for rule in rules), None)
