# SPDX-License-Identifier: Apache-2.0
"""microTVM for a TVM that was built without it, such as the wheel hhb-tvm 3.2.3.

After enable(), tvm.micro, tvmc and AutoTVM work with projects of a platform as TVM documents. enable() does
not change a TVM that was built with microTVM. The wheel lacks the following parts, which are replaced:

* The session with a device, which is C++ in TVM, is a relay process (relay.py).
* TVM's C runtime, and its settings that the exporter copies into a model archive, are two folders with notes.
* Worker processes do not import the replacements of their parent, so each worker first imports DOOR.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Final, Iterator

from runtime.host.errors import PlatformError, ToolMissing

WHEEL: Final = "hhb-tvm==3.2.3"
HOW_TO_INSTALL: Final = (
    f'Run `pip install "{WHEEL}" "numpy>=1.24,<2" "onnx>=1.13,<1.19" tflite tqdm -r requirements.txt` in a '
    "virtual environment of CPython 3.10 or 3.8, or build TVM 0.8 to 0.18 with USE_MICRO. Then use it."
)
SESSION_FUNCTION: Final = "micro._rpc_connect"
STDERR: Final = 2
DOOR: Final = "runtime.host.tvm_micro"  # the module whose import calls enable()
PARTS: Final = Path(__file__).resolve().parent


def enable() -> None:
    """Import tvm, and install replacements for the parts that it lacks. Safe to call twice.

    Raises:
        ToolMissing: This interpreter has no TVM, or its TVM cannot be imported.
        PlatformError: This TVM has no tvm.micro to complete.
    """
    tvm = _import_tvm()
    if tvm.get_global_func(SESSION_FUNCTION, allow_missing=True) is not None:
        return
    if importlib.util.find_spec("tvm.micro") is None:
        raise _no_micro(tvm)
    from runtime.host.tvm_session import errors, trial_errors
    from runtime.host.tvm_session.connect import connect

    _forget_failed_import()
    tvm.register_func(SESSION_FUNCTION, connect)
    # As functions of TVM, the arguments would lose __self__, from which connect() gets the session.
    _module("tvm.micro.session")._rpc_connect = connect
    errors.install()
    trial_errors.install()
    _complete_exporter()
    _complete_workers()
    _wait_through_signals(tvm)


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _import_tvm() -> Any:
    """Import tvm and tvm.relay, which tvm.micro needs, and return tvm."""
    try:
        tvm = _module("tvm")
        _module("tvm.relay")
    except ImportError as error:
        if error.name == "tvm":
            raise ToolMissing("This Python has no TVM.", HOW_TO_INSTALL) from error
        if error.name == "tvm.relay":
            raise _no_micro(_module("tvm")) from error
        raise ToolMissing(f"This Python's TVM cannot be imported: {error}.", HOW_TO_INSTALL) from error
    return tvm


def _no_micro(tvm: Any) -> PlatformError:
    return PlatformError(
        f"TVM {tvm.__version__} has no microTVM: TVM 0.18 was the last release with it.", HOW_TO_INSTALL
    )


def _forget_failed_import() -> None:
    """Remove the unusable modules that a failed import of tvm.micro has left in sys.modules."""
    if "tvm.micro" not in sys.modules:
        for name in [name for name in sys.modules if name.startswith("tvm.micro.")]:
            del sys.modules[name]


def _complete_exporter() -> None:
    """Supply the folders that the exporter of model archives takes from a build of TVM."""
    micro = _module("tvm.micro")
    build = _module("tvm.micro.build")
    exporter = _module("tvm.micro.model_library_format")
    try:
        build.get_standalone_crt_dir()
    except build.CrtNotFoundError:
        build.STANDALONE_CRT_DIR = str(PARTS / "standalone_crt")
    find_template = build.get_microtvm_template_projects

    @functools.wraps(find_template)
    def get_microtvm_template_projects(platform: str) -> str:
        try:
            return str(find_template(platform))
        except build.MicroTVMTemplateProjectNotFoundError:
            if platform != "crt":
                raise
            return str(PARTS / "crt")

    for module in (build, exporter, micro):
        module.get_microtvm_template_projects = get_microtvm_template_projects


def _complete_workers() -> None:
    """Make TVM's worker processes start with enable()."""
    import cloudpickle  # type: ignore[import-not-found]

    from runtime.host.tvm_session import worker
    from runtime.host.tvm_session.connect import ROOT

    cloudpickle.register_pickle_by_value(worker)
    pool = _module("tvm.contrib.popen_pool")
    start = pool.PopenWorker.__init__

    @functools.wraps(start)
    def __init__(self: Any, initializer: Any = None, initargs: Any = (), *more: Any, **named: Any) -> None:
        start(self, worker.start, (str(ROOT), DOOR, initializer, *initargs), *more, **named)

    pool.PopenWorker.__init__ = __init__


def _wait_through_signals(tvm: Any) -> None:
    """Prevent TVM from checking for signals while it waits for a socket.

    This TVM calls PyErr_CheckSignals without the interpreter lock, so Ctrl-C would cause a segmentation
    fault. The relay ends the wait instead. TVM calls sched_yield in its place, which returns 0.
    """
    nothing = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p)
    with _quiet():
        tvm._ffi.base._LIB.TVMBackendRegisterEnvCAPI(b"PyErr_CheckSignals", nothing)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop the output of C++ to stderr: here a warning about the replaced function."""
    sys.stderr.flush()
    stderr = os.dup(STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
