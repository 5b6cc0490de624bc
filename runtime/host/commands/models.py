# SPDX-License-Identifier: Apache-2.0
"""Commands on a model file: compile, verify, inspect."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Final, Iterator, Mapping, Optional, Tuple

import click

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.app import main, platform_here
from runtime.host.commands.command_options import verbose_option
from runtime.host.commands.console import format_size, out, progress
from runtime.host.commands.model_options import compile_options
from runtime.host.errors import PlatformError, reason_of

RUNTIME_BYTES: Final = 12 << 10  # code of the device runtime


@main.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Model archive to write. Default: the name of the model with the suffix .tar.",
)
@click.option("--board", metavar="NAME", help="Board whose memory is compared. Default: the default board.")
@compile_options
@verbose_option
def compile(
    model: Path,
    output: Optional[Path],
    board: Optional[str],
    input_shapes: Mapping[str, Tuple[int, ...]],
    verify: bool,
) -> None:
    """Compile a model file to a verified model archive.

    MODEL is an ONNX file.
    The C of the model needs no runtime of TVM. Its answers are compared with onnxruntime's on this machine.
    """
    from runtime.host.compile.stored import compiled_archive, is_model_file

    chosen = choose_board(platform_here().boards(), board)
    if not is_model_file(model):
        raise PlatformError(
            f"{model} is not a model file that can be compiled: expected the suffix .onnx.",
            "Export the model as ONNX.",
        )
    target = output or model.with_suffix(".tar")
    if target.exists() and model.exists() and target.samefile(model):
        raise PlatformError(f"--output would overwrite {model}.", "Name another file with -o.")
    packed = compiled_archive(model, input_shapes=input_shapes, verify=verify, progress=_stage)
    _write(target, packed.data)
    archive = ModelArchive.unpacked(packed)
    facts = archive.metadata.about
    fits = _memory(archive, facts, chosen)
    _print_summary(facts)
    _print_memory(fits, chosen)
    out.print(f"Wrote {target}. Run it with: python mtvm.py run {shlex.quote(str(target))}")


@contextlib.contextmanager
def _stage(text: str) -> Iterator[None]:
    """Print a line for a stage of the compilation, with its time."""
    started = time.monotonic()
    with progress(text):
        yield
    out.print(f"{text:40} {time.monotonic() - started:6.2f} s")


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step.

    Raises:
        PlatformError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be written: {reason_of(error)}.", "Choose another file."
        ) from error


def _memory(archive: ModelArchive, facts: Dict[str, Any], board: Board) -> Dict[str, Optional[int]]:
    """Return the memory that the model needs at least, and that the board has."""
    tensors = sum(spec.size_bytes for spec in (*archive.inputs, *archive.outputs))
    return {
        "flash_bytes": int(facts.get("constant_bytes", 0)) + RUNTIME_BYTES,
        "ram_bytes": archive.static_workspace_bytes + tensors + board.stack_bytes,
        "board_flash_bytes": board.flash_bytes,
        "board_ram_bytes": board.ram_bytes,
    }


def _print_summary(facts: Dict[str, Any]) -> None:
    operators, kernels = facts.get("operators", []), facts.get("kernels", [])
    macs = sum(operator["macs"] for operator in operators)
    rows = [
        ("operators", f"{len(operators)}"),
        ("kernels", f"{len({kernel['name'] for kernel in kernels})} in {len(kernels)} calls"),
        ("parameters", f"{facts.get('parameters', 0):,}"),
        ("MACs", f"{macs:,}"),
        ("arena", format_size(facts["arena_bytes"])),
        ("constants", format_size(facts["constant_bytes"])),
    ]
    for what, value in rows:
        out.print(f"{what:12} {value}")
    verified = facts.get("verified")
    if verified is None:
        out.print("verified     no: use `verify` to compare the answers with a reference")
        return
    for found in verified["outputs"]:
        out.print(
            f"verified     {found['name']}: largest error {found['largest_error']:.2g} where "
            f"{verified['reference']} has at most {found['largest_value']:.3g}, "
            f"{verified['sets_of_inputs']} sets of inputs"
        )


def _print_memory(fits: Dict[str, Optional[int]], board: Board) -> None:
    for what, needed, limit in (
        ("flash", fits["flash_bytes"], fits["board_flash_bytes"]),
        ("RAM", fits["ram_bytes"], fits["board_ram_bytes"]),
    ):
        if limit is None or needed is None:
            continue
        verdict = "fits" if needed <= limit else "does NOT fit"
        out.print(
            f"{what:12} at least {format_size(needed)} with the device runtime: {verdict} {board.name} "
            f"({format_size(limit)})"
        )
