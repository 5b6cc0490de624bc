# SPDX-License-Identifier: Apache-2.0
"""Commands on one model: build, flash, run, size, bench."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import click
from click.shell_completion import CompletionItem
from rich.text import Text

from runtime import server
from runtime.host.boards.attachment import Attachment
from runtime.host.commands.command_options import json_option, project_command
from runtime.host.commands.console import err, format_size, number_table, out, print_log, progress
from runtime.host.commands.json_output import latency_fields, print_document, tensor_fields, usage_fields
from runtime.host.commands.target import ATTACH
from runtime.host.errors import PlatformError
from runtime.host.execution import connection
from runtime.host.execution.firmware_info import Usage, read_usage
from runtime.host.firmware import build as builder
from runtime.host.firmware import flash as flasher
from runtime.host.firmware.parts import LINK_MAP, link_map
from runtime.host.project.platform import MODEL_ARCHIVE
from runtime.host.project.project import BUILD_DIRECTORY, Project


@project_command()
def build(project: Project) -> None:
    """Generate a project and build its firmware."""
    report = _build(project)
    for stage in report.stages:
        out.print(f"{stage.name:10} {'from the cache' if stage.cached else f'{stage.seconds:.2f} s'}")
    if report.note:
        out.print(f"cache      {report.note}")
    out.print(f"project    {project.directory}")
    out.print(f"firmware   {report.firmware}")


@project_command(ATTACH)
@click.option("--dry-run", is_flag=True, help="Print the commands that would flash the board; build nothing.")
def flash(project: Project, attachment: Attachment, dry_run: bool) -> None:
    """Build the firmware and flash the board."""
    commands = flasher.flash_commands(project, attachment)
    if dry_run:
        for argv in [["cd", str(project.directory)], *commands] if commands else []:
            out.print(shlex.join(argv))
    else:
        _build(project)
        _flash(project, attachment)
    if not commands:
        out.print(
            "Nothing to flash: this machine starts the firmware each time that the model runs."
            + (
                " Name the tool that flashes the real board with --runner."
                if project.board.is_emulated
                else ""
            )
        )
    elif not dry_run:
        out.print(f"Flashed {project.firmware}")


@project_command(ATTACH)
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]FILE",
    shell_complete=lambda _ctx, _parameter, incomplete: [CompletionItem(incomplete, type="file")],
    help="Input tensor: an .npy file, or an .npz file with one array per input, by the input's name. Without "
    "files the inputs count from 0 to 99, repeatedly.",
)
@click.option("--fill", is_flag=True, help="Let inputs without a file count from 0 to 99.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the outputs to this .npz file, as output_0, output_1 and so on.",
)
@json_option
def run(
    project: Project,
    attachment: Attachment,
    inputs: Tuple[str, ...],
    fill: bool,
    output: Optional[Path],
    as_json: bool,
) -> None:
    """Run a model once on the board and print its outputs.

    The command generates the project, builds it and flashes the board first, as far as this is needed.
    """
    if project.settings.project_type == "standalone":
        _check_standalone(inputs, output)
        from runtime.host.execution.standalone_run import run_standalone

        bring_up(project, attachment)
        with progress("Running the model"):
            text = run_standalone(project, attachment)
        if as_json:
            print_document("run", {**project_fields(project), "text": text})
        else:
            sys.stdout.write(server.printable(text))
        return
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    model = click.get_current_context().params["model"]
    files = [Path(tensor_files.split_name(text)[1]) for text in inputs]
    _check_output(output, (project.directory / MODEL_ARCHIVE, *files, *([model] if model else [])))
    tensor_files.check_readable(inputs)
    bring_up(project, attachment)
    with progress("Running the model"), running_model(project, attachment, print_log) as executor:
        given = tensor_files.read_given(inputs, executor.inputs)
        arrays = tensor_files.complete(given, executor.inputs, fill=fill or not inputs)
        outputs = executor.infer(arrays)
        usage = read_usage(executor.rpc)
    if output is not None:
        tensor_files.write_outputs(output, outputs)
    if as_json:
        specs = executor.outputs
        print_document(
            "run",
            {
                **project_fields(project),
                "inputs": [
                    {**tensor_fields(name, array), "is_given": name in given}
                    for name, array in arrays.items()
                ],
                "outputs": [tensor_fields(spec.name, array) for spec, array in zip(specs, outputs)],
                "output_file": None if output is None else str(output),
                "used": usage_fields(usage),
                "size": _size_fields(project),
            },
        )
        return
    for name in arrays:
        if name not in given:
            out.print(f"input {name}: no file, so the values count from 0 to 99, repeatedly")
    for index, array in enumerate(outputs):
        out.print(f"output {index}: {array.dtype} {list(array.shape)}")
        out.print(str(array))
    for what, used in [*(usage.rows() if usage else ()), *_memory_rows(project)]:
        out.print(f"{what:9} {used}")
    if output is not None:
        out.print(f"written to {output}")


@project_command(ATTACH)
@click.option(
    "--no-run", is_flag=True, help="Leave out the stack and workspace that a run of the model uses."
)
@json_option
def size(project: Project, attachment: Attachment, no_run: bool, as_json: bool) -> None:
    """Show the memory that the firmware takes.

    The table lists flash and RAM by part, and those of the board. For a firmware that runs on this machine,
    the command also runs the model and shows the peak stack and workspace. It flashes nothing.
    """
    from runtime.host.firmware.link_map import size_rows

    _build(project)
    board = project.board
    is_run = (
        project.settings.project_type == "host_driven"
        and not no_run
        and connection.is_local(project, attachment)
    )
    usage = _run_for_usage(project, attachment) if is_run else None
    if as_json:
        fields = {**project_fields(project), "used": usage_fields(usage), "size": _size_fields(project)}
        print_document("size", fields)
        return
    map_file = link_map(project)
    if map_file is None:
        out.print(
            f"No link map. Add -Wl,-Map={BUILD_DIRECTORY}/{LINK_MAP} to build_command to see flash and RAM."
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
    for what, used in usage.rows() if usage else []:
        out.print(f"{what:9} {used}")
    if project.settings.project_type == "host_driven" and not no_run and not is_run:
        out.print("To see the stack and workspace that the model uses, run it: `run` flashes the board.")


@project_command(ATTACH)
@click.option(
    "--number",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Number of inferences.",
)
@json_option
def bench(project: Project, attachment: Attachment, number: int, as_json: bool) -> None:
    """Measure the latency of a model.

    The device measures its own time; an emulated board counts instructions instead. This machine measures the
    time of a whole inference: inputs, run, outputs.
    """
    from runtime.host.execution.latency import measure

    bring_up(project, attachment)
    with progress(f"Timing {number:,} inferences"):
        measured = measure(project, number, attachment)
    if as_json:
        print_document(
            "bench",
            {
                **project_fields(project),
                "number": number,
                "instructions_per_inference": measured.instructions,
                "seconds": {
                    "device": latency_fields(measured.device),
                    "whole": latency_fields(measured.whole),
                },
            },
        )
        return
    if measured.instructions is not None:
        out.print(f"on the device: {measured.instructions:,} instructions per inference")
    table = number_table("milliseconds", "median", "p99", "least")
    for row in filter(None, (measured.device, measured.whole)):
        table.add_row(row.what, *(f"{1e3 * seconds:.3f}" for seconds in (row.median, row.p99, row.least)))
    out.print(table, soft_wrap=False, crop=False)


def _check_standalone(inputs: Tuple[str, ...], output: Optional[Path]) -> None:
    """Raise PlatformError for tensors that a standalone firmware cannot exchange."""
    if inputs:
        raise PlatformError(
            "A standalone firmware runs on the input that was compiled into it: --input does not apply.",
            "Give the file as -o standalone_input=FILE, or use project_type=host_driven.",
        )
    if output is not None:
        raise PlatformError(
            "A standalone firmware reports its outputs as text: --output does not apply.",
            "Leave out --output, or use project_type=host_driven.",
        )


def _check_output(output: Optional[Path], used: Sequence[Path]) -> None:
    """Raise PlatformError for an output file that is an input of the command."""
    for path in used:
        if output is not None and output.exists() and path.exists() and output.samefile(path):
            raise PlatformError(
                f"--output would overwrite {path}, which the command reads.",
                "Name another file for the outputs.",
            )


def _build(project: Project) -> builder.BuildReport:
    with progress(f"Building the firmware for {project.board.name}"):
        return builder.build(project)


def _flash(project: Project, attachment: Attachment) -> None:
    # Only the progress on a terminal names the tool.
    commands = flasher.flash_commands(project, attachment) if err.is_terminal else []
    if not commands:
        flasher.flash(project, attachment)
        return
    with progress(f"Flashing {project.board.name} with {Path(commands[-1][0]).name}"):
        flasher.flash(project, attachment)


def bring_up(project: Project, attachment: Attachment) -> None:
    """Build the firmware and flash the board, as far as this is needed."""
    _build(project)
    _flash(project, attachment)
    _note_unopened_port(project, attachment)


def _note_unopened_port(project: Project, attachment: Attachment) -> None:
    """Print that the port of the platform is not opened, where the firmware runs on this machine."""
    port = project.platform.port
    if port and not attachment.port and connection.is_local(project, attachment):
        board = project.board.name
        err.print(Text(f"Port {port} is not opened: the board {board} runs on this machine.", "dim"))


def _run_for_usage(project: Project, attachment: Attachment) -> Optional[Usage]:
    """Run the model once, and return the memory that the device used."""
    from runtime.host.archive import tensor_files
    from runtime.host.execution.running_model import running_model

    with progress("Running the model"), running_model(project, attachment, print_log) as executor:
        executor.infer(tensor_files.read_inputs((), executor.inputs))
        return read_usage(executor.rpc)


def _memory_rows(project: Project) -> List[Tuple[str, str]]:
    """Return the memory of its board that the firmware takes, in words."""
    sizes = _size_fields(project) or {}
    return [
        (what, f"{sizes[taken]:,} of {sizes[limit]:,} bytes of {project.board.name}")
        for what, taken, limit in (
            ("flash", "flash_bytes", "board_flash_bytes"),
            ("RAM", "ram_bytes", "board_ram_bytes"),
        )
        if sizes.get(limit) is not None
    ]


def project_fields(project: Project) -> Dict[str, Any]:
    """Return the fields that the documents of all commands on a project have."""
    return {
        "board": project.board.name,
        "project": str(project.directory),
        "project_type": project.settings.project_type,
        "firmware": str(project.firmware),
    }


def _size_fields(project: Project) -> Optional[Dict[str, Any]]:
    """Return flash and RAM of the firmware and of its board; None without a link map."""
    from runtime.host.firmware.link_map import part_sizes

    map_file = link_map(project)
    if map_file is None:
        return None
    parts = part_sizes(map_file)
    return {
        "parts": [{"part": part.part, "flash_bytes": part.flash, "ram_bytes": part.ram} for part in parts],
        "flash_bytes": sum(part.flash for part in parts),
        "ram_bytes": sum(part.ram for part in parts),
        "board_flash_bytes": project.board.flash_bytes,
        "board_ram_bytes": project.board.ram_bytes,
    }
