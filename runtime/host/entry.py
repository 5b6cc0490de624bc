# SPDX-License-Identifier: Apache-2.0
"""What an AOT model's main function takes, told by its object file.

The LLVM code generator leaves no description of the model in the code, and the archive does not give the
shape of an output, nor does it say whether the memory planner ran. But the function checks its arguments, and
the texts of its checks are in the object: "x_code == 3 ..., <entry>: Expect arg[0] to be pointer" and
"<entry>.x.ndim is expected to equal 2". It checks data type and number of dimensions, not their extents.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional

from runtime.host.archive import ModelArchive


class Argument(NamedTuple):
    """An argument of the main function; ndim is None where no check names it."""

    name: str
    ndim: Optional[int]

    @property
    def is_workspace(self) -> bool:
        return self.name.startswith("global_workspace")

    @property
    def is_constants(self) -> bool:
        return self.name.startswith("global_const_workspace")


def entry_name(module: str) -> str:
    """The main function of a module, in the system library. TVM puts the module's name in as it is."""
    return f"tvmgen_{module}___tvm_main__"


def metadata_name(module: str) -> str:
    """The function that describes a module, which the C code generator writes beside the main function."""
    return f"tvmgen_{module}_get_c_metadata"


def read_entry(archive: ModelArchive) -> List[Argument]:
    """The arguments in order; empty when the checks were compiled out, as they may be."""
    entry = re.escape(entry_name(archive.module).encode())
    is_pointer = re.compile(rb"(\w+)_code == 3[^\0]*?, " + entry + rb": Expect arg\[(\d+)\] to be pointer")
    has_ndim = re.compile(entry + rb"\.(\w+)\.ndim is expected to equal (\d+)")
    names = {}
    ndims = {}
    for data in map(archive.read, archive.objects):
        names.update({int(match[2]): match[1].decode() for match in is_pointer.finditer(data)})
        ndims.update({match[1].decode(): int(match[2]) for match in has_ndim.finditer(data)})
    return [Argument(names[index], ndims.get(names[index])) for index in sorted(names)]
