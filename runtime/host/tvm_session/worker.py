# SPDX-License-Identifier: Apache-2.0
"""First function that a worker process of TVM runs.

TVM starts workers for building, for measuring and for its RPC server. They are new interpreters that cannot
import this package yet. The function reaches them by value, so it must not use a global of this module.
"""

from __future__ import annotations

from typing import Any


def start(root: str, door: str, initializer: Any, *arguments: Any) -> None:
    """Enable microTVM as in the process that started the worker, then call TVM's own initializer.

    Args:
        root: Directory that contains this package.
        door: Module whose import enables microTVM.
        initializer: TVM's initializer of the worker; None for none.
        *arguments: Arguments of the initializer.
    """
    import importlib
    import sys

    if root not in sys.path:
        sys.path.append(root)
    importlib.import_module(door)
    if initializer is not None:
        initializer(*arguments)
