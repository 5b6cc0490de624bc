# SPDX-License-Identifier: Apache-2.0
"""TVM's own C runtime, the folder standalone_crt_dir, which a project with crt=tvm copies.

A build of TVM 0.8 to 0.18 creates this folder. include/ has the headers of TVM, of DLPack and their includes.
src/runtime/crt/ has a folder for each library. src/runtime/minrpc/ and src/support/ have more headers, which
the libraries include by relative paths. The folder's Makefile (up to 0.11), CMakeLists.txt (from 0.12) and
other files, such as templates, are not used.
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

CRT_DIRECTORY: Final = "crt"  # folder of a project with the copy
CRT_SOURCES: Final = ("runtime/device/crt/platform.c",)  # functions that the copy needs from the platform
LIBRARIES_DIRECTORY: Final = "src/runtime/crt"
SERVER_LIBRARIES: Final = ("common", "memory", "microtvm_rpc_common", "microtvm_rpc_server")
AOT_LIBRARIES: Final = ("aot_executor", "aot_executor_module")  # from 0.9 on
GRAPH_LIBRARIES: Final = ("graph_executor", "graph_executor_module")
# Files that the libraries include: a table, and headers.
SUPPORT: Final = (f"{LIBRARIES_DIRECTORY}/tab", "src/runtime/minrpc", "src/support", "include")
HEADERS: Final = (
    "include/tvm/runtime/crt/microtvm_rpc_server.h",
    "include/tvm/runtime/crt/platform.h",
    "include/tvm/runtime/c_runtime_api.h",
    "include/dlpack/dlpack.h",
)
# Its own use of the workspace: registry, packet buffer, server, pages of 2 KiB for arguments.
OVERHEAD_BYTES: Final = 8 * 1024
STACK_BYTES: Final = 4096  # 2,824 bytes were measured on a Cortex-M3

# Matches the number of separate constants in a model's C, if there are any.
CONSTANTS: Final = re.compile(rb"\b[1-9]\d*L* */\* *num_constant_pools")

_USE_BUNDLED: Final = (
    "Use archive and runtime of the same TVM, or use crt=bundled, which runs the archives of all versions."
)
_FIND_IT: Final = (
    "Set standalone_crt_dir to the folder that `python -c 'import tvm.micro; "
    "print(tvm.micro.get_standalone_crt_dir())'` of TVM 0.8 to 0.18 prints: build/standalone_crt of its "
    "source tree, built with USE_MICRO."
)


class StandaloneCrt:
    """A complete folder of TVM's own runtime."""

    def __init__(self, directory: Path) -> None:
        """Check that the folder is complete. Raise PlatformError if it is not."""
        self.directory = directory
        libraries = directory / LIBRARIES_DIRECTORY
        if not directory.is_dir():
            raise PlatformError(f"The folder {directory} of TVM's own runtime does not exist.", _FIND_IT)
        if not libraries.is_dir():
            raise PlatformError(
                f"{directory} is not TVM's own runtime: {LIBRARIES_DIRECTORY} is missing.", _FIND_IT
            )
        if not (libraries / "microtvm_rpc_server").is_dir():
            raise PlatformError(
                f"TVM's own runtime in {directory} is older than 0.8: microtvm_rpc_server is missing.",
                "Use the runtime of TVM 0.8 to 0.18, or crt=bundled.",
            )
        needed = (*(f"{LIBRARIES_DIRECTORY}/{name}" for name in SERVER_LIBRARIES), *HEADERS)
        missing = [name for name in needed if not (directory / name).exists()]
        if missing:
            raise PlatformError(f"TVM's own runtime in {directory} lacks {', '.join(missing)}.", _FIND_IT)

    @property
    def has_aot(self) -> bool:
        """True if the runtime has an AOT executor, as in TVM 0.9 and later."""
        return all((self.directory / LIBRARIES_DIRECTORY / name).is_dir() for name in AOT_LIBRARIES)

    @property
    def supports_constants(self) -> bool:
        """True if the AOT executor supports models with separate constants, as in TVM 0.12 and later.

        These versions have an additional platform function, TVMPlatformInitialize.
        """
        header = self.directory / "include/tvm/runtime/crt/platform.h"
        return "TVMPlatformInitialize" in header.read_text(encoding="utf-8")

    def check_archive(self, archive: ModelArchive) -> None:
        """Raise PlatformError for an archive that this runtime would misread or fail to open.

        TVM 0.8 stores the number of an archive's functions in one byte, TVM 0.9 and later in two.
        """
        if (archive.version == 5) == self.has_aot:
            of, than = ("later", "0.8") if not self.has_aot else ("older", "0.9")
            raise PlatformError(
                f"The model archive {archive.path} is from a TVM {of} than the runtime in {self.directory}, "
                f"which is from TVM {than}{' or later' if self.has_aot else ''}.",
                _USE_BUNDLED,
            )
        if (
            archive.executor == "aot"
            and archive.interface == "packed"
            and not self.supports_constants
            and any(CONSTANTS.search(archive.read(name)) for name in archive.sources)
        ):
            raise PlatformError(
                f"The model in {archive.path} has separate constants, which the runtime in {self.directory} "
                "does not support: expected an AOT executor of TVM 0.12 or later, got an older one.",
                _USE_BUNDLED,
            )

    def copy(self, target: Path) -> None:
        """Copy the sources of a firmware into target, which must not exist."""
        for file in self._files():
            copied = target / file.relative_to(self.directory)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)

    def key(self) -> str:
        """Return a digest of the content."""
        digest = Digest()
        digest.add_files(self.directory, self._files())
        return digest.key()

    def _files(self) -> List[Path]:
        libraries = (*SERVER_LIBRARIES, *AOT_LIBRARIES, *GRAPH_LIBRARIES)
        folders = [*(f"{LIBRARIES_DIRECTORY}/{name}" for name in libraries), *SUPPORT]
        return [path for name in folders for path in (self.directory / name).rglob("*") if path.is_file()]


def chosen_crt(crt: Optional[str], directory: Optional[str]) -> Optional[StandaloneCrt]:
    """Return the TVM runtime for a project, or None for the platform's own.

    Args:
        crt: Value of the project option crt.
        directory: Value of the project option standalone_crt_dir.

    Raises:
        PlatformError: The folder is missing or incomplete.
    """
    if crt not in ("tvm", "standalone"):
        return None
    if not directory:
        raise PlatformError(
            "crt=tvm requires a folder with TVM's own runtime, but standalone_crt_dir was not given.",
            _FIND_IT,
        )
    return StandaloneCrt(Path(directory).absolute())
