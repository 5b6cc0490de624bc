# SPDX-License-Identifier: Apache-2.0
"""The commands on one model: build, flash, run, size, bench."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import List, Optional, Tuple

import click
from rich.text import Text

from runtime import server
from runtime.host.boards.attachment import Attachment
from runtime.host.commands.app import attachment_options, project_command
from runtime.host.commands.console import err, format_size, number_table, out, print_log
from runtime.host.errors import PlatformError
from runtime.host.execution import connection
from runtime.host.execution.firmware_info import read_usage
from runtime.host.firmware import build as builder
from runtime.host.firmware import flash as flasher
from runtime.host.firmware.parts import LINK_MAP, link_map
from runtime.host.project.project import BUILD_DIRECTORY, Project


@project_command
def build(project: Project) -> None:
    """Generate a project for MODEL.tar and build its firmware."""
    report = builder.build(project)
    for stage in report.stages:
        out.print(f"{stage.name:10} {'from the cache' if stage.cached else f'{stage.seconds:.2f} s'}")
    if report.note:
        out.print(f"cache      {report.note}")
    out.print(f"project    {project.directory}")
    out.print(f"firmware   {report.firmware}")


@project_command
@attachment_options
@click.option("--dry-run", is_flag=True, help="Print the commands that would flash the board; build nothing.")
def flash(project: Project, attachment: Attachment, dry_run: bool) -> None:
    """Build the firmware and put it on the board."""
    commands = flasher.flash_commands(project, attachment)
    if dry_run:
        for argv in [["cd", str(project.directory)], *commands] if commands else []:
            out.print(shlex.join(argv))
    else:
        builder.build(project)
        flasher.flash(project, attachment)
    if not commands:
        out.print(
            "Nothing to flash: the firmware is started on this machine each time that the model is run."
            + (" --runner names the tool that flashes the real board." if project.board.is_emulated else "")
        )
    elif not dry_run:
        out.print(f"Flashed {project.firmware}")


@project_command
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]FILE",
    help="An input tensor: an .npy file, or an .npz with an array for each input, by its name. "
    "Without any the inputs count from 0 to 99, again and again.",
)
@click.option("--fill", is_flag=True, help="Run although inputs have no file: those count from 0 to 99.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the outputs to this .npz file, as output_0, output_1 and so on.",
)
@attachment_options
def run(
    project: Project,
    attachment: Attachment,
    inputs: Tuple[str, ...],
    fill: bool,
    output: Optional[Path],
) -> None:
    """Build, flash and run a model once, and print its outputs."""
    if project.settings.project_type == "standalone":
        if inputs or output:
            raise PlatformError(
                "A standalone firmware runs on the input that was compiled into it.",
                f"Change {project.directory / 'src' / 'model_input.c'}, or use project_type=host_driven.",
            )
        from runtime.host.execution.standalone_run import run_standalone

        _bring_up(project, attachment)
        sys.stdout.write(server.printable(run_standalone(project, attachment)))
        return
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    tensor_files.check_readable(inputs)
    _bring_up(project, attachment)
    with running_model(project, attachment, print_log) as executor:
        given = tensor_files.read_given(inputs, executor.inputs)
        arrays = tensor_files.complete(given, executor.inputs, fill=fill or not inputs)
        for name in arrays:
            if name not in given:
                out.print(f"input {name}: no file, so it counts from 0 to 99 again and again")
        outputs = executor.infer(arrays)
        usage = read_usage(executor.rpc)
    for index, array in enumerate(outputs):
        out.print(f"output {index}: {array.dtype} {list(array.shape)}")
        out.print(str(array))
    for what, used in [*(usage.rows() if usage else ()), *_memory_rows(project)]:
        out.print(f"{what:9} {used}")
    if output is not None:
        tensor_files.write_outputs(output, outputs)
        out.print(f"written to {output}")


@project_command
@attachment_options
@click.option("--no-run", is_flag=True, help="Leave out what only a run of the model can tell.")
def size(project: Project, attachment: Attachment, no_run: bool) -> None:
    """Show the memory that the firmware takes.

    Flash and RAM by part, against the board's. Where the firmware runs on this machine, also the stack and
    the workspace that a run of the model used; nothing is flashed.
    """
    from runtime.host.firmware.link_map import size_rows

    builder.build(project)
    board = project.board
    map_file = link_map(project)
    if map_file is None:
        out.print(
            f"No link map: let build_command write one to {BUILD_DIRECTORY}/{LINK_MAP} "
            f"(-Wl,-Map={BUILD_DIRECTORY}/{LINK_MAP}), and this tells the flash and the RAM it takes."
        )
    else:
        table = number_table("bytes", "flash", "RAM")
        *parts, total = size_rows(map_file)
        for row in parts:
            table.add_row(*row)
        table.add_section()
        table.add_row(*total)
        table.add_row(f"{board.name} has", format_size(board.flash_bytes), format_size(board.ram_bytes))
        out.print(table, soft_wrap=False, crop=False)
    if project.settings.project_type != "host_driven" or no_run:
        return
    if not connection.is_local(project, attachment):
        out.print("The stack and the workspace that the model uses: see `run`, which flashes the board.")
    else:
        for what, used in _usage_rows(project, attachment):
            out.print(f"{what:9} {used}")


def _usage_rows(project: Project, attachment: Attachment) -> List[Tuple[str, str]]:
    """What the device has used after one inference."""
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    with running_model(project, attachment, print_log) as executor:
        executor.infer(tensor_files.read_inputs((), executor.inputs))
        usage = read_usage(executor.rpc)
    return usage.rows() if usage else []


def _memory_rows(project: Project) -> List[Tuple[str, str]]:
    """The memory of its board that the firmware takes."""
    from runtime.host.firmware.link_map import part_sizes

    board = project.board
    map_file = link_map(project)
    parts = [] if map_file is None else part_sizes(map_file)
    return [
        (what, f"{sum(getattr(part, kind) for part in parts):,} of {limit:,} bytes of {board.name}")
        for what, kind, limit in (("flash", "flash", board.flash_bytes), ("RAM", "ram", board.ram_bytes))
        if limit is not None and parts
    ]


@project_command
@click.option(
    "--number",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="How many inferences to time.",
)
@attachment_options
def bench(project: Project, attachment: Attachment, number: int) -> None:
    """Time a model: on the device alone, and as seen from here."""
    from runtime.host.execution.latency import measure

    _bring_up(project, attachment)
    table = number_table("milliseconds", "median", "p99", "least")
    for row in measure(project, number, attachment):
        table.add_row(row.what, *(f"{1e3 * seconds:.3f}" for seconds in (row.median, row.p99, row.least)))
    out.print(table, soft_wrap=False, crop=False)


def _bring_up(project: Project, attachment: Attachment) -> None:
    builder.build(project)
    for argv in flasher.flash_commands(project, attachment)[-1:] if err.is_terminal else ():
        err.print(Text(f"Flashing {project.board.name} with {Path(argv[0]).name}.", "dim"))
    flasher.flash(project, attachment)
    _note_unopened_port(project, attachment)


def _note_unopened_port(project: Project, attachment: Attachment) -> None:
    """Say that the port of the platform is not opened, where the firmware runs on this machine."""
    port = project.platform.port
    if port and not attachment.port and connection.is_local(project, attachment):
        board = project.board.name
        err.print(Text(f"Port {port} is not opened: the board {board} runs on this machine.", "dim"))
