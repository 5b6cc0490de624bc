# SPDX-License-Identifier: Apache-2.0
"""Initialisation of TVM's worker processes.

TVM starts workers for building, for measuring and for its RPC server. They are new interpreters without this
package. TVM pickles the function here by value, so it must not use names of this module.
"""

from __future__ import annotations

from typing import Any


def start(root: str, door: str, initializer: Any, *arguments: Any) -> None:
    """Import microTVM as in the process that started the worker, then call the initializer of TVM.

    Args:
        root: Directory of this package.
        door: Module whose import enables microTVM.
        initializer: Function of TVM, or None.
        arguments: Arguments of `initializer`.
    """
    import importlib
    import sys

    if root not in sys.path:
        sys.path.append(root)
    importlib.import_module(door)
    if initializer is not None:
        initializer(*arguments)
