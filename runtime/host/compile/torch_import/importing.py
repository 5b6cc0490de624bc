# SPDX-License-Identifier: Apache-2.0
"""Import of a program of torch.export into Relax."""

from __future__ import annotations

from typing import Any, List, Tuple

import torch
from torch.export import ExportedProgram

from runtime.host.compile.errors import ModelError
from runtime.host.compile.lowering import last_line
from runtime.host.compile.onnx_model import Value
from runtime.host.compile.torch_import.signature import inputs_of_program, outputs_of_program


def import_program(program: ExportedProgram) -> Tuple[Any, List[Value], List[Value]]:
    inputs, outputs = inputs_of_program(program), outputs_of_program(program)
    core = program.run_decompositions()
    from tvm.relax.frontend.torch import from_exported_program

    try:
        module = from_exported_program(core, run_ep_decomposition=False)
    except Exception as error:
        raise ModelError(f"TVM cannot import the model: {last_line(error)}", "Replace the operator.") from error
    return module, inputs, outputs
