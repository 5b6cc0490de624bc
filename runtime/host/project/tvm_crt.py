# SPDX-License-Identifier: Apache-2.0
"""TVM's own C runtime, standalone_crt_dir, as a project takes it in with crt=tvm.

The folder that a build of TVM makes, of versions 0.8 to 0.18: include/ has the headers of TVM, DLPack and
what they need; src/runtime/crt/ has a folder for each library; src/runtime/minrpc/ and src/support/ have more
headers, which the others reach by relative paths. Its Makefile (up to 0.11) or CMakeLists.txt (from 0.12) is
not used, nor is what else may lie there, such as templates.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, List, Optional

from runtime.host.errors import PlatformError
from runtime.host.system.cache import Digest

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive

CRT_DIRECTORY: Final = "crt"  # of a project: its copy
CRT_SOURCES: Final = ("runtime/device/crt/platform.c",)  # what the copy asks of the platform on top
LIBRARIES_DIRECTORY: Final = "src/runtime/crt"
SERVER_LIBRARIES: Final = ("common", "memory", "microtvm_rpc_common", "microtvm_rpc_server")
AOT_LIBRARIES: Final = ("aot_executor", "aot_executor_module")  # from 0.9 on
GRAPH_LIBRARIES: Final = ("graph_executor", "graph_executor_module")
# Beside the libraries: a table of one of them, and headers.
SUPPORT: Final = (f"{LIBRARIES_DIRECTORY}/tab", "src/runtime/minrpc", "src/support", "include")
HEADERS: Final = (
    "include/tvm/runtime/crt/microtvm_rpc_server.h",
    "include/tvm/runtime/crt/platform.h",
    "include/tvm/runtime/c_runtime_api.h",
    "include/dlpack/dlpack.h",
)
# What it takes of the workspace for itself: registry, packet buffer, server, pages of 2 KiB for arguments.
OVERHEAD_BYTES: Final = 8 * 1024
STACK_BYTES: Final = 4096  # 2,824 were seen on a Cortex-M3

# In a model's C, the number of its constants that are apart from its code, if there are any.
CONSTANTS: Final = re.compile(rb"\b[1-9]\d*L* */\* *num_constant_pools")

_USE_BUNDLED: Final = (
    "Take both from the same TVM, or use crt=bundled, which runs the archives of all versions."
)
_FIND_IT: Final = (
    "TVM 0.8 to 0.18 has it where `python -c 'import tvm.micro; print(tvm.micro.get_standalone_crt_dir())'` "
    "says: build/standalone_crt of its source tree, built with USE_MICRO."
)


class StandaloneCrt:
    """A folder of TVM's own runtime that can be built. Raises PlatformError when it cannot be."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        libraries = directory / LIBRARIES_DIRECTORY
        if not directory.is_dir():
            raise PlatformError(f"There is no folder {directory} with TVM's own runtime.", _FIND_IT)
        if not libraries.is_dir():
            raise PlatformError(
                f"{directory} is not TVM's own runtime: it has no {LIBRARIES_DIRECTORY}.", _FIND_IT
            )
        if not (libraries / "microtvm_rpc_server").is_dir():
            raise PlatformError(
                f"TVM's own runtime in {directory} is older than 0.8: it has no microtvm_rpc_server.",
                "Use that of TVM 0.8 to 0.18, or crt=bundled.",
            )
        needed = (*(f"{LIBRARIES_DIRECTORY}/{name}" for name in SERVER_LIBRARIES), *HEADERS)
        missing = [name for name in needed if not (directory / name).exists()]
        if missing:
            raise PlatformError(f"TVM's own runtime in {directory} lacks {', '.join(missing)}.", _FIND_IT)

    @property
    def has_aot(self) -> bool:
        """Whether it has an AOT executor: TVM 0.9 and later."""
        return all((self.directory / LIBRARIES_DIRECTORY / name).is_dir() for name in AOT_LIBRARIES)

    @property
    def supports_constants(self) -> bool:
        """Whether its AOT executor takes a model whose constants are apart: TVM 0.12 and later, which have a
        platform function more."""
        header = self.directory / "include/tvm/runtime/crt/platform.h"
        return "TVMPlatformInitialize" in header.read_text(encoding="utf-8")

    def check_archive(self, archive: ModelArchive) -> None:
        """Raise PlatformError for an archive that this runtime would misread (the count of its functions took
        one byte in TVM 0.8, and takes two from 0.9 on), or would give up on when the model is opened."""
        if (archive.version == 5) == self.has_aot:
            of, than = ("later", "0.8") if not self.has_aot else ("older", "0.9")
            raise PlatformError(
                f"The model archive {archive.path} is of a TVM {of} than the runtime in {self.directory}, "
                f"which is of {than}{' or later' if self.has_aot else ''}: they do not fit.",
                _USE_BUNDLED,
            )
        if (
            archive.executor == "aot"
            and archive.interface == "packed"
            and not self.supports_constants
            and any(CONSTANTS.search(archive.read(name)) for name in archive.sources)
        ):
            raise PlatformError(
                f"The model in {archive.path} has its constants apart, and the AOT executor of the runtime "
                f"in {self.directory} does not take them: that of TVM 0.12 was the first.",
                _USE_BUNDLED,
            )

    def copy(self, target: Path) -> None:
        """Copy what a firmware is built from into target, which must not exist."""
        for file in self._files():
            copied = target / file.relative_to(self.directory)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)

    def key(self) -> str:
        """Tells its content from others."""
        digest = Digest()
        digest.add_files(self.directory, self._files())
        return digest.key()

    def _files(self) -> List[Path]:
        libraries = (*SERVER_LIBRARIES, *AOT_LIBRARIES, *GRAPH_LIBRARIES)
        folders = [*(f"{LIBRARIES_DIRECTORY}/{name}" for name in libraries), *SUPPORT]
        return [path for name in folders for path in (self.directory / name).rglob("*") if path.is_file()]


def chosen_crt(crt: Optional[str], directory: Optional[str]) -> Optional[StandaloneCrt]:
    """The runtime of its own that a project is to be built on; None for the platform's.

    crt, directory: the project options of these names. Raises PlatformError.
    """
    if crt not in ("tvm", "standalone"):
        return None
    if not directory:
        raise PlatformError(
            "crt=tvm builds on TVM's own runtime, and no folder of it was handed over.",
            f"Name it with -o standalone_crt_dir=DIRECTORY. {_FIND_IT}",
        )
    return StandaloneCrt(Path(directory).absolute())
