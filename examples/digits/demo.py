# SPDX-License-Identifier: Apache-2.0
"""Demo of the digits model on the default platform: make demo.

The demo bakes the platform, compiles the digits model with today's TVM and classifies the held-out digits on
the device. Without the packages of `compile` it uses the archive that was compiled from the model before.

It uses TVM's steps: the platform's API server generates the project. The project's API server builds it,
starts it and transfers the bytes of a session. Exit status 0 means that the device, the model compiled for
this machine, and onnxruntime gave the same answer, to the last bit, for every digit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import track
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from runtime.host.archive.model_archive import ModelArchive  # noqa: E402
from runtime.host.compile import compile_model  # noqa: E402
from runtime.host.compile.native import run_natively  # noqa: E402
from runtime.host.compile.packages import check_packages  # noqa: E402
from runtime.host.errors import PlatformError, ToolMissing  # noqa: E402
from runtime.host.execution.latency import Latency, summarize  # noqa: E402
from runtime.host.execution.running_model import connected_executor  # noqa: E402
from runtime.host.firmware.build import REPORT_FILE  # noqa: E402
from runtime.host.firmware.link_map import size_rows  # noqa: E402
from runtime.host.project.project import BUILD_DIRECTORY  # noqa: E402
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient  # noqa: E402

MODEL = "models/digits_int8.onnx"  # of the platform
COMMITTED = "models/digits_int8.tar"
COMPILED = "projects/digits_int8.tar"
PLACE = ROOT / "build/demo"
SHADES = " .:-=+*#%@"
DRAWN = 6

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def main() -> int:
    """Run the demo and return the exit status."""
    with np.load(ROOT / "examples/digits/digits_test.npz") as data:
        images, labels, of_onnxruntime = data["images"], data["labels"], data["expected_int8"]
    stages: Dict[str, float] = {}
    shutil.rmtree(PLACE, ignore_errors=True)
    with stage(stages, "bake the platform"):
        platform = bake()
    project = platform / "projects" / "digits"
    try:
        path = compiled(platform, stages)
        archive = ModelArchive.open(path)
        with stage(stages, "run the model on the host"):
            on_host = native_answers(archive, images)
        with ProjectApiClient(platform) as server, stage(stages, "generate the project"):
            server.generate_project(path, project)
        with ProjectApiClient(project) as server:
            with stage(stages, "build the firmware"):
                server.build({})
            stages.update(build_stages(project))
            with stage(stages, "flash"):
                server.flash({})
            latency, on_device, compute = classify(server, archive, images, stages)
    except PlatformError as error:
        console.print(f"error: {error.what}", style="bold red", markup=False)
        console.print(error.log, style="dim", markup=False)
        console.print(f"next:  {error.next_step}", markup=False)
        return 1
    hosts = {"host (compiled C)": on_host, "host (onnxruntime)": of_onnxruntime}
    report(images, labels, hosts, on_device)
    console.print(timing_table(stages, latency, compute), size_table(project))
    agreed = int(np.all([on_device == answers for answers in hosts.values()], axis=(0, 2)).sum())
    console.print(
        f"Device and host agree on {agreed} of {len(images)} digits, to the last bit."
        if agreed == len(images)
        else f"[bold red]Device and host differ on {len(images) - agreed} of {len(images)} digits."
    )
    console.print(f"The platform is in {platform.relative_to(ROOT)}, the project in its projects/digits.")
    return 0 if agreed == len(images) else 1


def bake() -> Path:
    """Bake the default platform, as `cookiecutter --no-input` does, and return its path."""
    command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--output-dir", str(PLACE)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (platform,) = PLACE.iterdir()
    return platform


def compiled(platform: Path, stages: Dict[str, float]) -> Path:
    """Compile the bundled model, and return the path of the model archive.

    Args:
        platform: Platform with the model.
        stages: Seconds by stage, to extend.
    """
    try:
        versions = dict(check_packages())
    except ToolMissing as error:
        console.print(f"{error.what} The demo uses the committed archive {COMMITTED}.", markup=False)
        return platform / COMMITTED
    console.print(f"Compiling {MODEL} with TVM {versions['apache-tvm']}", markup=False)

    @contextmanager
    def shown(text: str) -> Iterator[None]:
        name = f"  {text[0].lower()}{text[1:]}"
        with stage(stages, name):
            yield
        console.print(f"{name:44} {stages[name]:6.2f} s", markup=False)

    stages["compile the model"] = 0.0  # the first of its rows
    with stage(stages, "compile the model"):
        made = compile_model(platform / MODEL, progress=shown)
        path = platform / COMPILED
        path.parent.mkdir()
        made.save(path)
    return path


def native_answers(archive: ModelArchive, images: Any) -> Any:
    """Return the scores (n, 10) of the model's C, compiled for this machine, for images (n, 1, 8, 8)."""
    given = [{archive.inputs[0].name: image[np.newaxis]} for image in images]
    return np.concatenate([answers[archive.outputs[0].name] for answers in run_natively(archive, given)])


@contextmanager
def stage(stages: Dict[str, float], name: str) -> Iterator[None]:
    """Store the seconds that the block takes in `stages`."""
    started = time.perf_counter()
    yield
    stages[name] = time.perf_counter() - started


def build_stages(project: Path) -> Dict[str, float]:
    """Return the seconds of each stage from the build's report; 0 for stages from the cache."""
    report = json.loads((project / BUILD_DIRECTORY / REPORT_FILE).read_text(encoding="utf-8"))
    return {
        f"  {row['name']}{' (from the cache)' if row['cached'] else ''}": row["seconds"]
        for row in report["stages"]
    }


def classify(server: ProjectApiClient, archive: ModelArchive, images: Any, stages: Dict[str, float]) -> Any:
    """Classify every image on the device.

    Args:
        server: API server of the project.
        archive: Model archive of the project.
        images: int8 (n, 1, 8, 8).
        stages: Seconds by stage, to extend.

    Returns:
        Latency of an inference, scores (n, 10), latency on the device alone.
    """
    transport = ApiTransport(server, {})
    seconds: List[float] = []
    answers = []
    with stage(stages, "open the session"):
        transport.open()
        session = connected_executor(archive, transport)
        executor = session.__enter__()
    try:
        with stage(stages, f"classify {len(images)} digits"):
            for image in track(images, "classifying on the device", console=console):
                started = time.perf_counter()
                (scores,) = executor.infer({0: image[np.newaxis]})
                answers.append(scores.ravel())
                seconds.append(time.perf_counter() - started)
        compute = summarize("compute time of the device", executor.time_evaluator(10, 10))
    finally:
        session.__exit__(None, None, None)
        transport.close()
    return summarize("one inference through the API server", seconds), np.array(answers), compute


def report(images: Any, labels: Any, hosts: Mapping[str, Any], on_device: Any) -> None:
    """Print some digits with their answers, then the accuracy on the device and on the host.

    Args:
        images: int8 (n, 1, 8, 8).
        labels: Digit of each image.
        hosts: Scores (n, 10) by what computed them on a host.
        on_device: Scores (n, 10) of the device.
    """
    guesses = on_device.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)[:2]
    right = np.flatnonzero(guesses == labels)[: DRAWN - len(wrong)]
    console.print(Columns([drawing(images[i], guesses[i], labels[i]) for i in [*right, *wrong]]))
    table = Table("accuracy on held-out digits", "right", "of", "")
    for where, scores in {"device": on_device, **hosts}.items():
        hits = int((scores.argmax(axis=1) == labels).sum())
        table.add_row(where, str(hits), str(len(labels)), f"{100 * hits / len(labels):.2f} %")
    console.print(table)


def drawing(image: Any, guess: int, label: int) -> Panel:
    """Draw a digit in characters, with the device's answer below it, in red if it is wrong."""
    ink = np.asarray(image).reshape(8, 8).clip(0, 16)
    rows = ["".join(SHADES[value * (len(SHADES) - 1) // 16] * 2 for value in row) for row in ink.astype(int)]
    answer = f"answer {guess}" if guess == label else f"answer {guess}, not {label}"
    return Panel(
        Text("\n".join(rows)), subtitle=Text(answer, style="green" if guess == label else "red"), width=20
    )


def timing_table(stages: Dict[str, float], latency: Latency, compute: Latency) -> Table:
    """Return a table of the seconds of each stage and the milliseconds of one inference."""
    table = Table("time", "", "")
    for name, seconds in stages.items():
        table.add_row(name, f"{seconds:.3f} s", "")
    table.add_section()
    for row in (latency, compute):
        table.add_row(row.what, f"median {1e3 * row.median:.3f} ms", f"p99 {1e3 * row.p99:.3f} ms")
    return table


def size_table(project: Path) -> Table:
    """Return a table of the firmware's flash and RAM by part, in bytes."""
    table = Table("firmware", "flash", "RAM")
    for row in size_rows(project / "build/firmware.map"):
        table.add_row(*row)
    return table


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
