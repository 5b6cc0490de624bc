# SPDX-License-Identifier: Apache-2.0
"""Command that compiles a model file: compile."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import click

from runtime.host.archive.about import ModelFacts, read_facts
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.other_models import other_model
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board
from runtime.host.commands.app import main, platform_here
from runtime.host.commands.command_options import complete_board, json_option, verbose_option
from runtime.host.commands.console import err, out, progress
from runtime.host.commands.json_output import finite, print_document
from runtime.host.commands.model_options import compile_options
from runtime.host.commands.model_tables import (
    count_text,
    in_float_rows,
    memory_fields,
    memory_rows,
    print_rows,
    tensors_fields,
    verified_fields,
    verified_rows,
)
from runtime.host.errors import PlatformError, ToolMissing, reason_of
from runtime.host.firmware.memory_forecast import Need, forecast
from runtime.host.firmware.model_code import OPTIMIZATION, ModelCode, model_code
from runtime.host.project.platform import Platform

if TYPE_CHECKING:
    from runtime.host.compile.calibration import Calibrated

SUFFIX: Final = ".tar"
ONNX: Final = ".onnx"


class Result(NamedTuple):
    """Result of a compilation.

    Attributes:
        archive: Model archive.
        facts: Facts about the model.
        is_cached: The cache had the model.
        board: Board whose memory is compared.
        code: Sizes of the model's code for the board; None if they are not known.
        no_code: Reason why they are not known; empty otherwise.
    """

    archive: ModelArchive
    facts: ModelFacts
    is_cached: bool
    board: Board
    code: Optional[ModelCode]
    no_code: str

    @property
    def needs(self) -> Tuple[Need, Need]:
        """Need of flash and of RAM of a host-driven firmware."""
        return forecast(self.archive, self.board, self.code)


@main.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Model archive to write. Default: the name of the model with the suffix .tar.",
)
@click.option(
    "--board",
    metavar="NAME",
    shell_complete=complete_board,
    help="Board whose memory is compared. Default: the default board.",
)
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Quantize a floating-point ONNX model to int8 first, by the ranges that tensors have with these "
    "inputs: an .npz file with an array per input, with a leading axis for several sets. The quantized model "
    "is written next to the archive.",
)
@compile_options
@json_option
@verbose_option
def compile(
    model: Path,
    output: Optional[Path],
    board: Optional[str],
    calibrate: Optional[Path],
    input_shapes: Mapping[str, Tuple[int, ...]],
    verify: bool,
    as_json: bool,
) -> None:
    """Compile a model file to a verified model archive.

    MODEL is a file of ONNX (.onnx), TensorFlow Lite (.tflite) or PyTorch (.pt2). The C of the model needs
    no runtime of TVM. Its answers are compared on this machine with those of onnxruntime, LiteRT or
    PyTorch. The archive serves every board: --board only selects the board whose compiler measures the
    code, and whose flash and RAM are compared with the need of the model.
    """
    from runtime.host.compile.stored import compiled_archive

    platform = platform_here()
    chosen = choose_board(platform.boards(), board)
    _check_model(model)
    target = output or model.with_suffix(SUFFIX)
    _check_target(target, model)
    stages = _Stages(is_shown=not as_json)
    quantized: Optional[Calibrated] = None
    if calibrate is not None:
        quantized, model = _quantize(model, calibrate, target, input_shapes, stages)
        input_shapes = {}
    stored = compiled_archive(model, input_shapes=input_shapes, verify=verify, progress=stages.run)
    if stored.is_cached and not as_json:
        out.print("From the cache: the model, its options and the compiler are unchanged.")
    _write(target, stored.packed.data)
    archive = ModelArchive.unpacked(stored.packed)
    facts = read_facts(archive.metadata)
    assert facts is not None
    code, no_code = _code(platform, chosen, archive)
    result = Result(archive, facts, stored.is_cached, chosen, code, no_code)
    if as_json:
        print_document(
            "compile",
            {
                "model": str(model),
                "archive": str(target),
                **_fields(result),
                "quantization": None if quantized is None else _quantization_fields(quantized),
                "stages": stages.fields,
            },
        )
        return
    print_rows([*_rows(result), *_quantization_rows(quantized)])
    if quantized is not None:
        out.print(f"Wrote {model}, the quantized model.")
    named = f" --board {board}" if board is not None else ""
    out.print(f"Wrote {target}. Run it with: python mtvm.py run {shlex.quote(str(target))}{named}")


def _quantize(
    model: Path, inputs: Path, target: Path, shapes: Mapping[str, Tuple[int, ...]], stages: _Stages
) -> Tuple[Calibrated, Path]:
    """Quantize a model file, and write it next to the archive.

    Raises:
        PlatformError: The file is not in ONNX, or cannot be quantized.
    """
    from runtime.host.compile.packages import check_packages

    if model.suffix.lower() != ONNX:
        raise PlatformError(
            f"--calibrate quantizes only ONNX files: expected the suffix {ONNX}, got {model}.",
            "Quantize the model with the tool that wrote it, or export it as ONNX.",
        )
    path = target.with_name(f"{target.stem}_int8{ONNX}")
    if path.exists() and path.samefile(model):
        raise PlatformError(f"--calibrate would overwrite {model}.", "Name another archive with -o.")
    if target.exists() and inputs.exists() and target.samefile(inputs):
        raise PlatformError(f"--output would overwrite {inputs}.", "Name another file with -o.")
    check_packages()
    with stages.run("Quantizing the model"):
        from runtime.host.compile.calibration import calibrated_file

        quantized = calibrated_file(model, inputs, shapes)
    _write(path, quantized.model.SerializeToString())
    return quantized, path


def _quantization_rows(quantized: Optional[Calibrated]) -> List[Tuple[str, str]]:
    """Return what the quantization cost, in words."""
    if quantized is None:
        return []
    rows = []
    for found in quantized.differences:
        same = (
            f"; the same largest score for {found.same_first} of {quantized.sets} sets of inputs"
            if found.same_first is not None
            else ""
        )
        rows.append(
            (
                "quantization",
                f"{found.name}: largest change {found.largest_error:.2g}, mean {found.mean_error:.2g}, where "
                f"the model has at most {found.largest_value:.2g}{same}",
            )
        )
    return rows


def _quantization_fields(quantized: Calibrated) -> Dict[str, Any]:
    return {
        "sets_of_inputs": quantized.sets,
        "outputs": [
            {
                "name": found.name,
                "largest_change": finite(found.largest_error),
                "mean_change": finite(found.mean_error),
                "largest_value": finite(found.largest_value),
                "same_first": found.same_first,
            }
            for found in quantized.differences
        ],
    }


class _Stages:
    """Stages of a compilation, each a line with its time."""

    def __init__(self, is_shown: bool) -> None:
        self.fields: List[Dict[str, Any]] = []
        self._is_shown = is_shown

    @contextlib.contextmanager
    def run(self, text: str) -> Iterator[None]:
        started = time.monotonic()
        with progress(text):
            yield
        seconds = time.monotonic() - started
        self.fields.append({"stage": text, "seconds": seconds})
        line = f"{text:40} {seconds:6.2f} s"
        (out if self._is_shown else err).print(line)


def _check_model(model: Path) -> None:
    """Raise PlatformError for a path that is not a model file of a kind that is compiled."""
    from runtime.host.compile.stored import SUFFIXES, is_model_file

    if not model.exists():
        raise PlatformError(f"There is no file {model}.", "Check the path of the model file.")
    if model.is_dir():
        raise PlatformError(f"{model} is a directory, not a model file.", "Name the model file in it.")
    if is_model_file(model):
        return
    if model.suffix.lower() == SUFFIX:
        raise PlatformError(
            f"{model} is a model archive, which is compiled already.",
            f"Run it with: python mtvm.py run {shlex.quote(str(model))}",
        )
    other = other_model(model)
    if other is not None:
        raise PlatformError(
            f"{model} is {other.kind}: expected a file of ONNX, TensorFlow Lite or PyTorch.", other.next_step
        )
    raise PlatformError(
        f"{model} is not a model file that can be compiled: expected the suffix "
        f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.",
        "Export the model in one of these formats, as docs/compile.md of the platform explains.",
    )


def _check_target(target: Path, model: Path) -> None:
    """Raise PlatformError for a file that cannot be written, before the compilation."""
    if target.is_dir():
        example = target / model.with_suffix(SUFFIX).name
        raise PlatformError(f"--output {target} is a directory.", f"Name a file in it, such as {example}.")
    if target.exists() and target.samefile(model):
        raise PlatformError(f"--output would overwrite {model}.", "Name another file with -o.")
    place = target.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "not a directory" if not place.is_dir() else "not writable"
        raise PlatformError(f"{target} cannot be written: {place} is {reason}.", "Choose another file.")


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step, and its directory.

    Raises:
        PlatformError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name[:80]}.")
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


def _code(platform: Platform, board: Board, archive: ModelArchive) -> Tuple[Optional[ModelCode], str]:
    """Return the sizes of the model's code, or the reason why they are not known."""
    try:
        code = model_code(platform, board, archive)
    except ToolMissing as error:
        return None, f"{error.what} {error.next_step}"
    return code, "" if code is not None else "The platform does not choose the compiler of this board."


def _rows(result: Result) -> List[Tuple[str, str]]:
    facts, board = result.facts, result.board
    macs = None if facts.operators is None else facts.macs
    code = f"not known: {result.no_code}"
    if result.code is not None:
        code = f"{result.code.code_bytes:,} bytes on {board.cpu or board.name} with {OPTIMIZATION}"
    return [
        ("operators", count_text(None if facts.operators is None else len(facts.operators))),
        ("kernels", f"{len({kernel.name for kernel in facts.kernels})} in {len(facts.kernels)} calls"),
        ("parameters", count_text(facts.parameters)),
        ("MACs", count_text(macs)),
        ("arena", count_text(facts.arena_bytes, "bytes")),
        ("constants", count_text(facts.constant_bytes, "bytes")),
        ("code", code),
        *memory_rows(result.needs, board.name),
        *in_float_rows(facts.in_float),
        *verified_rows(facts.verified),
    ]


def _fields(result: Result) -> Dict[str, Any]:
    facts, code = result.facts, result.code
    return {
        "is_cached": result.is_cached,
        "board": result.board.name,
        "inputs": tensors_fields(result.archive.inputs),
        "outputs": tensors_fields(result.archive.outputs),
        "operators": None if facts.operators is None else len(facts.operators),
        "kernels": len({kernel.name for kernel in facts.kernels}),
        "kernel_calls": len(facts.kernels),
        "parameters": facts.parameters,
        "macs": None if facts.operators is None else facts.macs,
        "arena_bytes": facts.arena_bytes,
        "arena_bound_bytes": facts.arena_bound_bytes,
        "constant_bytes": facts.constant_bytes,
        "code_bytes": None if code is None else code.code_bytes,
        "memory": memory_fields(result.needs),
        "in_float": facts.in_float,
        "verified": verified_fields(facts.verified),
    }
