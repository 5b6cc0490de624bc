# SPDX-License-Identifier: Apache-2.0
"""Comparison of the answers of a device with expected ones, over sets of inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.archive.tensor_sets import read_input_sets, read_output_sets
from runtime.host.boards.attachment import Attachment
from runtime.host.compile.comparison import Allowance, Difference, Tolerance, compare
from runtime.host.compile.stored import is_model_file
from runtime.host.errors import PlatformError
from runtime.host.project.project import Project

if TYPE_CHECKING:
    from runtime.host.archive.tensor_files import Array

Shapes = Mapping[str, Sequence[int]]


class Expected(NamedTuple):
    """Sets of inputs and their expected outputs.

    Attributes:
        reference: Origin of the outputs: a file, or the name of a runtime.
        inputs: Arrays by input name, for each set.
        outputs: Arrays in order, for each set.
        allowances: Function that returns the error that each output may have besides a tolerance; None if
            this is not known.
    """

    reference: str
    inputs: List[Dict[str, Array]]
    outputs: List[List[Array]]
    allowances: Optional[Callable[[], List[Allowance]]]


def check_sources(model: Optional[Path], inputs: Optional[Path], outputs: Optional[Path]) -> None:
    """Raise PlatformError if nothing is there to compare with, before anything is built.

    Args:
        model: Model file or archive; None in a project.
        inputs: File of inputs, if any.
        outputs: File of expected outputs, if any.
    """
    has_reference = model is not None and is_model_file(model)
    if outputs is None and not has_reference:
        raise PlatformError(
            "A model archive has no reference: its answers are compared with those of a file.",
            "Give --inputs and --outputs, or the model file from which the archive was compiled.",
        )
    if outputs is not None and inputs is None:
        raise PlatformError(
            f"The inputs of the expected outputs in {outputs} are not known.",
            "Give the file of the inputs with --inputs.",
        )


def read_expected(
    archive: ModelArchive,
    model: Optional[Path],
    shapes: Shapes,
    inputs: Optional[Path],
    outputs: Optional[Path],
) -> Expected:
    """Return what the device is compared with.

    Args:
        archive: Model archive of the firmware.
        model: Model file or archive; None in a project.
        shapes: Input -> extents, for inputs of a model file with a dynamic shape.
        inputs: File of inputs; None for random ones and edges, which only a model file has.
        outputs: File of expected outputs; None for those of the reference runtime.

    Raises:
        PlatformError: A file does not fit the model, or the reference runtime rejects the inputs.
    """
    check_sources(model, inputs, outputs)
    given = None if inputs is None else read_input_sets(inputs, archive.inputs)
    if given is not None and outputs is not None:
        expected = read_output_sets(outputs, archive.outputs)
        if len(given) != len(expected):
            raise PlatformError(
                f"{inputs} holds {len(given)} sets of inputs, and {outputs} {len(expected)} sets of outputs.",
                "Save as many outputs as inputs.",
            )
        return Expected(str(outputs), given, expected, None)
    assert model is not None
    return _of_the_reference(archive, model, shapes, given)


def _of_the_reference(
    archive: ModelArchive, path: Path, shapes: Shapes, given: Optional[List[Dict[str, Array]]]
) -> Expected:
    from runtime.host.compile.allowance import allowances
    from runtime.host.compile.rounding import InvalidInputs
    from runtime.host.compile.samples import samples
    from runtime.host.compile.trained.opening import open_model

    source = open_model(path, shapes)
    reference = source.reference()
    assert reference is not None, "a file has a reference"
    is_chosen = given is None
    inputs: List[Dict[str, Array]] = []
    outputs: List[List[Array]] = []
    answers: List[Dict[str, Array]] = []
    for one in given if given is not None else samples(source.inputs):
        try:
            answers.append(reference.run(one))
        except InvalidInputs as error:
            if is_chosen:  # such as an index out of range
                continue
            raise PlatformError(
                f"{reference.name} rejects set {len(inputs)} of the inputs: {str(error)[:200].rstrip('.')}.",
                "Change the inputs to values that the model accepts.",
            ) from error
        inputs.append(one)
        outputs.append([answers[-1][name] for name in reference.outputs])
    if not inputs:
        raise PlatformError(
            f"{reference.name} rejects all test inputs.", "Give inputs that the model accepts with --inputs."
        )
    _check_outputs(archive.outputs, outputs[0], reference.name)

    def allowed() -> List[Allowance]:
        found = allowances(reference, source.onnx_form(), inputs, answers)
        return [found[name] for name in reference.outputs]

    return Expected(reference.name, inputs, outputs, allowed)


def _check_outputs(specs: Sequence[TensorSpec], outputs: Sequence[Array], reference: str) -> None:
    if len(specs) != len(outputs):
        raise PlatformError(
            f"The firmware has {len(specs)} outputs, and {reference} has {len(outputs)}.",
            "Compile the model again.",
        )


def labels_of(specs: Sequence[TensorSpec]) -> List[str]:
    """Return a label for each output: its name, with its position if the name is a duplicate."""
    names = [spec.name for spec in specs]
    return [f"{name} (output_{index})" if names.count(name) > 1 else name for index, name in enumerate(names)]


def compare_with_device(
    project: Project,
    attachment: Attachment,
    expected: Expected,
    tolerance: Tolerance,
    on_log: Optional[Callable[[str], None]] = None,
    on_set: Callable[[int], None] = lambda _number: None,
) -> Tuple[List[Difference], List[TensorSpec]]:
    """Run each set of inputs on the device, and return the errors and the specification of each output.

    Args:
        project: Project whose firmware the device has.
        attachment: How the board is attached.
        expected: Sets of inputs and outputs.
        tolerance: Allowed error of floating-point outputs.
        on_log: Function that receives the log messages of the device.
        on_set: Called with the number of each set before it runs.
    """
    from runtime.host.execution.running_model import running_model

    answers = []
    with running_model(project, attachment, on_log) as executor:
        for number, one in enumerate(expected.inputs):
            on_set(number)
            shaped = {spec.name: _shaped(one[spec.name], spec) for spec in executor.inputs}
            answers.append(executor.infer(shaped))
        specs = list(executor.outputs)

    def compared(allowed: Sequence[Allowance]) -> List[Difference]:
        return [
            compare(
                label,
                [one[index] for one in answers],
                [_shaped(one[index], spec) for one in expected.outputs],
                tolerance,
                allowed[index] if allowed else None,
            )
            for index, (label, spec) in enumerate(zip(labels_of(specs), specs))
        ]

    differences = compared([])
    if expected.allowances is not None and any(difference.wrong for difference in differences):
        differences = compared(expected.allowances())
    return differences, specs


def _shaped(array: Array, spec: TensorSpec) -> Array:
    """Return an array in the shape of the device: an old archive may have only the size of a tensor."""
    fits = spec.shape is not None and array.nbytes == spec.size_bytes and array.shape != spec.shape
    return array.reshape(spec.shape) if fits else array
