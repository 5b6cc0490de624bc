# SPDX-License-Identifier: Apache-2.0
"""Programs that run kernels of the library on cases with expected outputs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, List, NamedTuple, Optional, Sequence

import numpy as np

from runtime.host.boards.board import EMULATOR, Board
from runtime.host.boards.cores import ARM, find_cpu
from runtime.host.compile.kernel_c import CKernel
from runtime.host.compile.library.choice import Choice
from runtime.host.compile.library.replacement import sources, with_own_kernels
from runtime.host.compile.library.rules import choose
from runtime.host.compile.program import Call, Program, Tensor
from runtime.host.project.board_support import LIBRARY, PORTS, board_files
from runtime.host.runners.qemu import QUIET
from tests.compile.library.definition import result_of
from tests.compile.library.random_operators import Operator
from tests.conftest import TEMPLATE
from tests.device.building import STRICT, run

HERE: Final = Path(__file__).resolve().parent
MISPLACEMENTS: Final = 8  # the arena places tensors at multiples of 8 bytes; an owner's inputs lie anywhere
AT_ANY_ADDRESS: Final = ("depthwise.h",)
"""Kernels whose weights may lie at any address; those of the others lie at multiples of four bytes."""

WORD: Final = 4
# A project compiles models with the first two. Naked functions have their parameters in registers.
FLAGS: Final = ("-std=gnu11", "-fno-strict-aliasing", "-Wno-unused-parameter", f"-I{HERE}")
SANITIZED: Final = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TIMEOUT_SEC: Final = 120
MOST_LINES: Final = 30


class Case(NamedTuple):
    """A call of a kernel with its expected output.

    Attributes:
        choice: The kernel.
        operator: The operator.
        expected: Output of the operator.
    """

    choice: Choice
    operator: Operator
    expected: np.ndarray

    @property
    def size_bytes(self) -> int:
        """Bytes of the case in a program, approximately."""
        return sum(array.nbytes for array in (*self.operator.inputs, self.expected))


def case_of(operator: Operator) -> Optional[Case]:
    """Return the case of an operator; None if no kernel takes it."""
    choice = choose(operator.name, operator.attributes, operator.operands, operator.output)
    return None if choice is None else Case(choice, operator, result_of(operator))


def batches(cases: Sequence[Case], most: int, most_bytes: int) -> List[List[Case]]:
    """Return the cases in batches of limited number and size."""
    found: List[List[Case]] = []
    size = 0
    for case in cases:
        if not found or len(found[-1]) == most or size + case.size_bytes > most_bytes:
            found.append([])
            size = 0
        found[-1].append(case)
        size += case.size_bytes
    return found


class _Tensor(NamedTuple):
    """A tensor_t of harness.h."""

    start: int
    size_bytes: int
    misplaced: int

    def __str__(self) -> str:
        """Return the initializer in C."""
        return f"{{{self.start}, {self.size_bytes}, {self.misplaced}}}"


class _Data:
    """The bytes of all tensors of a program."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._random = np.random.default_rng(0)

    def add(self, array: np.ndarray, alignment: int) -> _Tensor:
        start = len(self.content)
        self.content += np.ascontiguousarray(array).tobytes()
        return _Tensor(start, array.nbytes, self.misplaced(alignment))

    def misplaced(self, alignment: int) -> int:
        """Return a distance from a multiple of 16 bytes with this alignment."""
        return int(self._random.integers(MISPLACEMENTS // alignment)) * alignment


def _write_cases(cases: Sequence[Case], folder: Path) -> List[Path]:
    """Write the C file of the cases and the bytes of their tensors; return the C files of the program."""
    calls = [_call(f"case{number}", case.operator) for number, case in enumerate(cases)]
    choices = {call.kernel: case.choice for call, case in zip(calls, cases)}
    kernels = with_own_kernels(Program([], [], calls), choices)
    data = _Data()
    functions: List[str] = []
    rows: List[str] = []
    for number, (case, call) in enumerate(zip(cases, calls)):
        kernel = kernels[call.kernel]
        tensors = _tensors(case, call, kernel, data)
        arguments = ", ".join(f"at[{at}]" for at in range(len(tensors)))
        functions += [
            kernel.code,
            f"static void run{number}(void *const *at) {{ {kernel.name}({arguments}); }}",
        ]
        fields = [f'"{case.operator.label}"', f"run{number}", len(call.inputs), int(bool(kernel.in_place))]
        rows.append(f"    {{{', '.join(map(str, fields))}, {{{', '.join(map(str, tensors))}}}}},")
    folder.mkdir(parents=True, exist_ok=True)
    content = folder / "cases.bin"
    content.write_bytes(data.content)
    lines = [
        '#include "harness.h"',
        *sources(list(kernels.values())),
        *functions,
        "const case_t cases[] = {",
        *rows,
        "};",
        f"const uint32_t case_count = {len(cases)};",
        "const uint32_t uses_dsp = MTVM_DSP;",
        '__asm__(".pushsection .rodata\\n.balign 16\\n.global case_data\\n"',
        f'        "case_data: .incbin \\"{content}\\"\\n.popsection\\n");',
        "",
    ]
    (folder / "cases.c").write_text("\n".join(lines), encoding="utf-8")
    return [folder / "cases.c", HERE / "harness.c"]


def _call(kernel: str, operator: Operator) -> Call:
    inputs = [
        Tensor(f"{kernel}_{at}", each.shape, each.dtype, each.data)
        for at, each in enumerate(operator.operands)
    ]
    return Call(kernel, inputs, [Tensor(f"{kernel}_y", operator.output.shape, operator.output.dtype)])


def _tensors(case: Case, call: Call, kernel: CKernel, data: _Data) -> List[_Tensor]:
    """Return the tensors of a call: inputs, output and scratch memory."""
    found = []
    variables = iter(case.operator.inputs)
    for tensor in call.inputs:
        if tensor.data is None:
            found.append(data.add(next(variables), 1))
        else:
            alignment = 1 if kernel.source in AT_ANY_ADDRESS and tensor.dtype == "int8" else WORD
            found.append(data.add(tensor.data, alignment))
    found.append(data.add(case.expected, 1))
    if kernel.scratch_bytes:
        found.append(_Tensor(0, kernel.scratch_bytes, data.misplaced(WORD)))
    return found


def failures_on_host(cases: Sequence[Case], folder: Path) -> List[str]:
    """Run cases as a process of this machine with sanitizers, and return its messages about failures."""
    program = folder / "cases"
    files = [*_write_cases(cases, folder), HERE / "host.c"]
    run(["gcc", *STRICT, *SANITIZED, *FLAGS, *files, "-o", program])
    return _failures([str(program)], cases, "portable")


def failures_on_board(
    cases: Sequence[Case], board: Board, folder: Path, is_portable: bool = False
) -> List[str]:
    """Run cases on an emulated board, and return its messages about failures.

    Args:
        cases: The cases.
        board: Board of the family cortex_m or riscv.
        folder: Directory of all output.
        is_portable: Use the portable code also on a processor with the DSP extension.
    """
    assert board.cpu is not None
    cpu = find_cpu(board.name, board.cpu)
    files = [*_write_cases(cases, folder), HERE / "board.c"]
    memory = folder / "memory.ld"
    memory.write_text(board_files(board)["board/memory.ld"], encoding="utf-8")
    firmware = folder / "firmware.elf"
    libraries = [*LIBRARY[cpu.cross == ARM], "-nostartfiles", f"-L{folder}",
                 f"-T{TEMPLATE / PORTS / board.device_port / 'link.ld'}"]  # fmt: skip
    flags = [*FLAGS, *cpu.flags, *(["-DMTVM_PORTABLE"] if is_portable else [])]
    run([f"{cpu.cross}gcc", *STRICT, "-O2", *flags, *libraries, *files, "-o", firmware])
    emulator = board.runners[EMULATOR]
    argv = [emulator["program"], "-machine", emulator["machine"], *emulator.get("arguments", ()), *QUIET,
            "-serial", "none", "-semihosting-config", "enable=on,target=native",
            "-kernel", str(firmware)]  # fmt: skip
    return _failures(argv, cases, "DSP" if cpu.dsp and not is_portable else "portable")


def _failures(argv: Sequence[str], cases: Sequence[Case], code: str) -> List[str]:
    """Run a program, and return its messages about failures, and about its end if that is unexpected.

    Args:
        argv: Command line.
        cases: The cases of the program.
        code: Code that it has to use: DSP or portable.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_SEC)
    # QEMU 7.2 writes the output of semihosting to its standard error.
    lines = (done.stdout + done.stderr).splitlines()
    labels = [case.operator.label for case in cases]
    if done.returncode == 0 and lines == [code, *labels, "0 failed"]:
        return []
    failed = [line for line in lines if line.startswith("FAILED")]
    if lines[-1:] == [f"{len(failed)} failed"] and lines[0] == code:
        return failed
    usual = {code, *labels, *failed}
    first = next((at for at, line in enumerate(lines) if line not in usual), len(lines))
    return [*failed, f"exit status {done.returncode}", *lines[max(0, first - 1) : first + MOST_LINES]]
