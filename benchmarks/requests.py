# SPDX-License-Identifier: Apache-2.0
"""Requests per second through the Project API, compared with TVM's own server and client.

    MICROTVM_TVM_PROJECT_API=.../tvm/micro/project_api python -m benchmarks.requests

The folder has TVM's client.py and server.py, which are loaded without tvm. Without this folder, only this
repository's server and client are measured. Every server runs the same handler, which returns immediately.
All run on one processor, in turns.
"""

from __future__ import annotations

import importlib
import os
import statistics
import sys
import tempfile
import time
import types
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, figure
from runtime import server as our_server
from runtime.host.wire.api_client import ProjectApiClient

ROOT = Path(__file__).resolve().parents[1]
TVM_FOLDER = "MICROTVM_TVM_PROJECT_API"
SIZES = (1, 128, 4096, 65536)
TIMEOUT_SEC = 5.0
TURN_SEC = 0.06  # one column's turn in a round

TVM_BOTH = "TVM server, TVM client"
OUR_SERVER = "our server, TVM client"
OUR_BOTH = "our server, our client"

# Required ratio of each column's rate to that of TVM_BOTH.
WANTED = {
    OUR_SERVER: {
        ("read", 1): 1.0,
        ("read", 128): 1.0,
        ("read", 4096): 1.0,
        ("read", 65536): 1.0,
        ("write", 1): 1.0,
        ("write", 128): 1.0,
        ("write", 4096): 1.25,
        ("write", 65536): 1.25,
    },
    OUR_BOTH: {
        ("read", 4096): 1.3,
        ("read", 65536): 1.3,
        ("write", 4096): 1.3,
        ("write", 65536): 1.3,
    },
}


class Row(NamedTuple):
    """Requests per second of one operation and size.

    Attributes:
        operation: "read" or "write".
        size: Bytes of each request.
        rates: Column -> one rate per round.
    """

    operation: str
    size: int
    rates: Dict[str, List[float]]

    def ratios(self, column: str) -> List[float]:
        """Return the ratio of the column's rate to that of TVM's pair, for each round."""
        return [rate / peer for rate, peer in zip(self.rates[column], self.rates[TVM_BOTH])]


def make_handler(api: Any) -> Any:
    """Return a handler without a device for the server module `api`, this repository's or TVM's."""

    class Handler(api.ProjectAPIHandler):  # type: ignore[misc]  # of a module that is chosen at run time
        def server_info_query(self, tvm_version: str) -> Any:
            return api.ServerInfo("bench", True, "", api.default_project_options())

        def generate_project(self, *_arguments: Any) -> None: ...

        def build(self, options: Any) -> None: ...

        def flash(self, options: Any) -> None: ...

        def open_transport(self, options: Any) -> Any:
            self._data = bytes(range(256)) * (max(SIZES) // 256)
            return api.TransportTimeouts(0, 0, 0)

        def close_transport(self) -> None: ...

        def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
            return bytes(self._data[:n])

        def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None: ...

    return Handler()


def load_tvm(folder: Path) -> types.ModuleType:
    """Load TVM's client module from a folder that has client.py and server.py."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tvm_project_api"]:
        del sys.modules[name]  # of another folder
    package = types.ModuleType("tvm_project_api")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.client")


def serve(whose: str) -> None:
    """Run the server of a measured process.

    Args:
        whose: "ours", or the folder of TVM's files.
    """
    api = our_server if whose == "ours" else load_tvm(Path(whose)).server
    api.main(make_handler(api))


def measure_rows(tvm_folder: Optional[Path] = None, rounds: int = 15) -> List[Row]:
    """Measure every operation and size.

    Args:
        tvm_folder: Folder of TVM's files. None: measure only this repository's pair.
        rounds: Number of rounds.
    """
    with ExitStack() as stack:
        stack.enter_context(_one_processor())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="microtvm-bench-")))
        ours = _server_directory(scratch / "ours", "ours")
        clients: Dict[str, Any] = {}
        if tvm_folder is not None:
            tvm = load_tvm(tvm_folder)
            theirs = _server_directory(scratch / "tvm", str(tvm_folder))
            for column, directory in ((TVM_BOTH, theirs), (OUR_SERVER, ours)):
                clients[column] = tvm.instantiate_from_dir(directory)
                stack.callback(clients[column].shutdown)
        clients[OUR_BOTH] = stack.enter_context(ProjectApiClient(ours))
        for client in clients.values():
            client.server_info_query("0.18.0")
            client.open_transport({})
        return [
            _measure_row(operation, size, clients, rounds)
            for operation in ("read", "write")
            for size in SIZES
        ]


def _measure_row(operation: str, size: int, clients: Dict[str, Any], rounds: int) -> Row:
    data = os.urandom(size)
    rates: Dict[str, List[float]] = {column: [] for column in clients}
    calls: Dict[str, Callable[[], Any]] = {}
    for column, client in clients.items():
        if operation == "read":
            calls[column] = partial(client.read_transport, size, TIMEOUT_SEC)
        else:
            calls[column] = partial(client.write_transport, data, TIMEOUT_SEC)
        calls[column]()
    for _ in range(rounds):
        for column, call in calls.items():
            rates[column].append(_rate(call))
    return Row(operation, size, rates)


def _rate(call: Callable[[], Any]) -> float:
    """Return the calls per second, measured for about TURN_SEC."""
    calls = 0
    started = time.perf_counter()
    until = started + TURN_SEC
    while time.perf_counter() < until:
        call()
        calls += 1
    return calls / (time.perf_counter() - started)


@contextmanager
def _one_processor() -> Iterator[None]:
    """Keep this process and its children on one processor, so that both ends of a pair share it."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _server_directory(directory: Path, whose: str) -> Path:
    directory.mkdir()
    (directory / "microtvm_api_server.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from benchmarks.requests import serve\nserve({whose!r})\n",
        encoding="utf-8",
    )
    return directory


def tvm_folder_from(value: Optional[str]) -> Optional[Path]:
    """Return the folder of TVM's two files, or None for an empty value. Exit if a file is missing."""
    if not value:
        return None
    folder = Path(value).resolve()
    for name in ("client.py", "server.py"):
        if not (folder / name).is_file():
            raise SystemExit(
                f"{folder}: {name} not found.\nName the folder tvm/micro/project_api of a TVM wheel."
            )
    return folder


def measure(rounds: int = 15) -> List[Figure]:
    """Measure this repository's pair, and its ratio to TVM's pair if TVM_FOLDER names TVM's files."""
    figures = []
    for row in measure_rows(tvm_folder_from(os.environ.get(TVM_FOLDER)), rounds):
        what = f"{row.operation} {row.size} B"
        for column in (OUR_SERVER, OUR_BOTH):
            if TVM_BOTH not in row.rates:
                continue
            wanted = WANTED[column].get((row.operation, row.size))
            ours, theirs = _median(row.rates[column]), _median(row.rates[TVM_BOTH])
            beside = f"{ours:,.0f} compared with {theirs:,.0f} requests/s"
            figures.append(
                figure(f"{what}: {column}", "times", row.ratios(column), wanted, at_least=True, beside=beside)
            )
        figures.append(figure(f"{what}: {OUR_BOTH}", "requests/s", row.rates[OUR_BOTH]))
    return figures


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _with_spread(rates: Sequence[float]) -> str:
    return f"{_median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def print_rows(console: Console, rows: Sequence[Row]) -> None:
    """Print one line per row: the median rate of each column with its spread, and the median ratios."""
    columns = [column for column in (TVM_BOTH, OUR_SERVER, OUR_BOTH) if column in rows[0].rates]
    table = Table("requests per second", *columns, title="Project API (median, min to max)")
    if TVM_BOTH in columns:
        table.add_column("our server / TVM")
        table.add_column("our pair / TVM")
    for row in rows:
        cells = [_with_spread(row.rates[column]) for column in columns]
        if TVM_BOTH in columns:
            cells += [f"{_median(row.ratios(column)):.2f}" for column in (OUR_SERVER, OUR_BOTH)]
        table.add_row(f"{row.operation} {row.size} B", *cells)
    console.print(table)


if __name__ == "__main__":
    folder = tvm_folder_from(sys.argv[1] if len(sys.argv) > 1 else os.environ.get(TVM_FOLDER))
    print_rows(Console(width=140), measure_rows(folder))
