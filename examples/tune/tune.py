# SPDX-License-Identifier: Apache-2.0
"""Tune a convolution of the digits model on a board, and run the model before and after.

Usage: tune.py PLATFORM [--board NAME] [--trials N] [--tracker HOST:PORT --key KEY] [--out FOLDER]

PLATFORM is a baked platform. Without --tracker this program starts a tracker, and PLATFORM serves its board
to it. The program needs a Python with TVM; README.md describes how to get one. Tuner, runner and module
loader are TVM's own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["TOPHUB_LOCATION"] = "NONE"  # otherwise TVM looks for schedules of other boards on the network

from runtime.host import tvm_micro  # noqa: E402

tvm_micro.enable()

import numpy as np  # noqa: E402
import tvm  # noqa: E402
from tvm import autotvm, micro, relay  # noqa: E402
from tvm.rpc.tracker import Tracker  # noqa: E402

from examples.digits import tvm_wheel  # noqa: E402
from examples.digits.export import network  # noqa: E402
from examples.digits.network import infer  # noqa: E402
from examples.tune import curve  # noqa: E402
from runtime.host.boards.table import choose_board  # noqa: E402
from runtime.host.project.platform import load_platform  # noqa: E402
from runtime.host.runners import qemu  # noqa: E402

# The schedules for x86 split and reorder loops, which helps any core. C has no vector types.
TARGET = "c -keys=x86,cpu -model=host"
SCALAR = {"tir.disable_vectorize": True}
KEY = "digits"
SEED = 1


class Unit(NamedTuple):
    """Unit of the device's results, and its number per second of the device's time."""

    name: str
    per_second: float


def main() -> int:
    """Tune, draw the curve, compare the model before and after, and return the exit status."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = arguments.out / "digits.log"
    log.unlink(missing_ok=True)
    weights = dict(np.load(ROOT / "examples/digits/weights.npz"))
    model = network(weights)
    task = largest_convolution(model)
    print(f"tuning {task.name}, {len(task.config_space)} candidates: {task.args[0]}, {task.args[1]}")
    unit = unit_of(arguments.platform, arguments.board)
    with contextlib.ExitStack() as stack:
        address, key = arguments.tracker, arguments.key
        if address is None:
            address = stack.enter_context(rack_of_one(arguments.platform, arguments.board, key))
        times = tune(task, address, key, arguments.trials, unit, log)
    if all(time is None for time in times):
        print(
            f"error: No candidate ran.\nnext:  Read the errors in {log} and the output of the board's server."
        )
        return 1
    print(curve.in_terminal(times, unit.name))
    curve.as_png(times, unit.name, arguments.out / "digits.png")
    before, right_before = run(model, weights, arguments.platform, arguments.board, unit)
    with autotvm.apply_history_best(str(log)):
        after, right_after = run(model, weights, arguments.platform, arguments.board, unit)
    print(f"{unit.name} of the model before: {before:,.1f}, after: {after:,.1f}, ratio: {before / after:.2f}")
    print(f"curve: {arguments.out / 'digits.png'}, log: {log}")
    if right_before and right_after:
        print("The answers before and after equal those of numpy.")
        return 0
    print("error: The answers differ from those of numpy.")
    print("next:  Run `python mtvm.py check` in the platform, which compares answers without tuning.")
    return 1


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Tune a convolution of the digits model on a board.")
    parser.add_argument("platform", type=baked_platform, help="directory of a baked platform")
    parser.add_argument("--board", help="board of the platform (default: the platform's default board)")
    parser.add_argument("--trials", type=positive, default=24)
    parser.add_argument(
        "--tracker",
        type=tracker_address,
        metavar="HOST:PORT",
        help="tracker of boards that are already served (default: start one)",
    )
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tune")
    return parser.parse_args()


def baked_platform(text: str) -> Path:
    """Return the absolute path of a platform."""
    path = Path(text).resolve()  # TVM needs absolute paths
    if not (path / "microtvm_api_server.py").is_file():
        raise argparse.ArgumentTypeError(f"{text}: not a platform. Create one: cookiecutter {ROOT}")
    return path


def tracker_address(text: str) -> Tuple[str, int]:
    """Return host and port of HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: expected HOST:PORT.")
    return host, int(port)


def positive(text: str) -> int:
    """Return an integer above 0."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected an integer above 0, got {text}.")
    return int(text)


def unit_of(platform: Path, name: Optional[str]) -> Unit:
    """Return the unit of a board's results: instructions for an emulated board that counts them."""
    board = choose_board(load_platform(platform).boards(), name)
    if board.is_emulated and qemu.counts_instructions(board):
        return Unit("instructions", 1e9 / qemu.INSTRUCTION_NS)
    return Unit("microseconds", 1e6)


def largest_convolution(model: Any) -> Any:
    """Return the tuning task of the convolution with the most operations."""
    with tvm.transform.PassContext(opt_level=3, config=SCALAR):
        tasks = autotvm.task.extract_from_program(model["main"], {}, target=tvm.target.Target(TARGET))
    return max((task for task in tasks if "conv2d" in task.name), key=lambda task: task.flop)


@contextlib.contextmanager
def rack_of_one(platform: Path, board: Optional[str], key: str) -> Iterator[Tuple[str, int]]:
    """Start a tracker with one board in its queue, and yield the tracker's address."""
    tracker = Tracker("127.0.0.1", port=9190, port_end=9290, silent=True)
    here = f"127.0.0.1:{tracker.port}"
    command = [sys.executable, "-m", "runtime.host", "serve", "--tracker", here, "--key", key]
    command += ["--board", board] if board else []
    server = subprocess.Popen(command, cwd=platform, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if not server.stdout.readline():  # prints a line when it serves; errors go to stderr
            sys.exit("error: The board cannot be served.\nnext:  Fix the error that the server printed.")
        yield "127.0.0.1", tracker.port
    finally:
        server.terminate()
        server.communicate()
        tracker.terminate()


def tune(
    task: Any, address: Tuple[str, int], key: str, trials: int, unit: Unit, log: Path
) -> List[Optional[float]]:
    """Run the trials and return the result of each; None for failed ones. The log has seconds."""
    times: List[Optional[float]] = []

    def show(_tuner: Any, _inputs: Any, results: Any) -> None:
        for result in results:
            times.append(unit.per_second * float(np.mean(result.costs)) if result.error_no == 0 else None)
        best = curve.best_so_far(times)[-1]
        shown = "none yet" if best is None else f"{best:,.2f} {unit.name}"
        print(f"\rtrial {len(times)} of {trials}, best {shown}", end="", flush=True)

    np.random.seed(SEED)
    autotvm.tuner.RandomTuner(task).tune(
        n_trial=trials,
        measure_option=autotvm.measure_option(
            builder=autotvm.LocalBuilder(
                build_func=micro.autotvm_build_func,
                build_kwargs={"build_option": SCALAR},
                runtime=relay.backend.Runtime("crt", {"system-lib": True}),
            ),
            runner=autotvm.RPCRunner(
                *(key, *address),
                n_parallel=1,
                number=20,
                repeat=3,
                cooldown_interval=0,
                module_loader=micro.AutoTvmModuleLoader(template_project_dir=".", project_options={}),
            ),
        ),
        callbacks=[show, autotvm.callback.log_to_file(str(log))],
    )
    print()
    return times


def run(model: Any, weights: Any, platform: Path, board: Optional[str], unit: Unit) -> Tuple[float, bool]:
    """Return the result of an inference on the board in this unit, and whether its answers equal numpy's."""
    attributes = {"interface-api": "packed", "unpacked-api": False}
    built = tvm_wheel.build(model, TARGET, "aot", attributes)
    images = np.load(ROOT / "examples/digits/digits_test.npz")["images"][:10]
    with tempfile.TemporaryDirectory() as scratch:
        project = micro.generate_project(
            *(platform, built, Path(scratch) / "project"), {"board": board} if board else {}
        )
        project.build()
        project.flash()
        with micro.Session(project.transport()) as session:
            executor = micro.create_local_aot_executor(session)
            answers = []
            for image in images:
                executor.get_input("image").copyfrom(image[np.newaxis])
                executor.run()
                answers.append(executor.get_output(0).numpy()[0])
            timed = executor.module.time_evaluator("run", session.device, number=20, repeat=5)()
    return unit.per_second * float(np.median(timed.results)), np.array_equal(answers, infer(images, weights))


if __name__ == "__main__":
    sys.exit(main())
