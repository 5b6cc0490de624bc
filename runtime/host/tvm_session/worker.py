# SPDX-License-Identifier: Apache-2.0
"""The first thing that a worker process of TVM runs.

TVM starts workers for building, for measuring and for its RPC server. They are new interpreters that know
nothing of this package; what is here reaches them by value, so it names nothing of this module.
"""

from __future__ import annotations

from typing import Any


def start(root: str, door: str, initializer: Any, *arguments: Any) -> None:
    """Put microTVM in place as in the process that started the worker, then do what TVM wants done first.

    root: the directory of this package. door: the module whose import puts microTVM in place.
    """
    import importlib
    import sys

    if root not in sys.path:
        sys.path.append(root)
    importlib.import_module(door)
    if initializer is not None:
        initializer(*arguments)
