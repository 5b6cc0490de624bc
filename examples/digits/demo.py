# SPDX-License-Identifier: Apache-2.0
"""Demo of the digits model on the default platform: make demo.

The demo bakes the platform, builds the digits model and classifies the held-out digits on the device. It uses
TVM's steps: the platform's API server generates the project. The project's API server builds it, starts it
and transfers the bytes of a session. Exit status 0 means that device and host gave the same answer, to the
last bit, for every digit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import track
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.digits import network  # noqa: E402
from runtime.host.archive.model_archive import ModelArchive  # noqa: E402
from runtime.host.errors import PlatformError  # noqa: E402
from runtime.host.execution.latency import Latency, summarize  # noqa: E402
from runtime.host.execution.running_model import connected_executor  # noqa: E402
from runtime.host.firmware.build import REPORT_FILE  # noqa: E402
from runtime.host.firmware.link_map import size_rows  # noqa: E402
from runtime.host.project.project import BUILD_DIRECTORY  # noqa: E402
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient  # noqa: E402

ARCHIVE = ROOT / "examples/digits/digits_aot.tar"
PLACE = ROOT / "build/demo"
SHADES = " .:-=+*#%@"
DRAWN = 6

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def main() -> int:
    """Run the demo and return the exit status."""
    with np.load(ROOT / "examples/digits/digits_test.npz") as data:
        images, labels = data["images"], data["labels"]
    with np.load(ROOT / "examples/digits/weights.npz") as weights:
        on_host = network.infer(images, dict(weights))
    stages: Dict[str, float] = {}
    shutil.rmtree(PLACE, ignore_errors=True)
    with stage(stages, "bake the platform"):
        platform = bake()
    project = platform / "projects" / "digits"
    try:
        with ProjectApiClient(platform) as server, stage(stages, "generate the project"):
            server.generate_project(ARCHIVE, project)
        with ProjectApiClient(project) as server:
            with stage(stages, "build the firmware"):
                server.build({})
            stages.update(build_stages(project))
            with stage(stages, "flash"):
                server.flash({})
            latency, on_device, compute = classify(server, images, stages)
    except PlatformError as error:
        console.print(f"error: {error.what}", style="bold red", markup=False)
        console.print(error.log, style="dim", markup=False)
        console.print(f"next:  {error.next_step}", markup=False)
        return 1
    report(images, labels, on_host, on_device)
    console.print(timing_table(stages, latency, compute), size_table(project))
    agreed = int((on_device == on_host).all(axis=1).sum())
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


def classify(server: ProjectApiClient, images: Any, stages: Dict[str, float]) -> Any:
    """Classify every image on the device.

    Args:
        server: API server of the project.
        images: int8 (n, 1, 8, 8).
        stages: Seconds by stage, to extend.

    Returns:
        Latency of an inference, logits (n, 10), latency on the device alone.
    """
    transport = ApiTransport(server, {})
    archive = ModelArchive.open(ARCHIVE)
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
                (logits,) = executor.infer({0: image[np.newaxis]})
                answers.append(logits.ravel())
                seconds.append(time.perf_counter() - started)
        compute = summarize("compute time of the device", executor.time_evaluator(10, 10))
    finally:
        session.__exit__(None, None, None)
        transport.close()
    return summarize("one inference through the API server", seconds), np.array(answers), compute


def report(images: Any, labels: Any, on_host: Any, on_device: Any) -> None:
    """Print some digits with their answers, then the accuracy on the device and on the host."""
    guesses = on_device.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)[:2]
    right = np.flatnonzero(guesses == labels)[: DRAWN - len(wrong)]
    console.print(Columns([drawing(images[i], guesses[i], labels[i]) for i in [*right, *wrong]]))
    table = Table("accuracy on held-out digits", "right", "of", "")
    for where, logits in (("device", on_device), ("host (numpy)", on_host)):
        hits = int((logits.argmax(axis=1) == labels).sum())
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
