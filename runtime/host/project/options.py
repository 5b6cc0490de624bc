# SPDX-License-Identifier: Apache-2.0
"""Project options of a platform: one table for TVM, the command line and the code."""

from __future__ import annotations

from typing import Dict, List

from runtime import server
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board

PROJECT_TYPES = ("host_driven", "standalone")
CRTS = ("bundled", "tvm", "standalone")  # standalone is the older name of tvm
OPTIMIZATIONS = ("O0", "O1", "O2", "O3", "Os")


def project_options(boards: Dict[str, Board]) -> List[server.ProjectOption]:
    """Return every project option of a platform with these boards, in the order of the help."""
    runners = tuple(sorted({runner for board in boards.values() for runner in board.runners}))
    default_board = choose_board(boards, None).name
    return [
        *server.default_project_options(
            project_type={
                "choices": PROJECT_TYPES,
                "default": "host_driven",
                "required": None,
                "optional": ["generate_project"],
                "help": "host_driven: TVM or the host tools call the model over the wire; "
                "standalone: the firmware has its own main, runs the model once and reports.",
            },
            board={
                "choices": tuple(boards),
                "default": default_board,
                "required": None,
                "optional": ["generate_project"],
                "help": f"Board to build for: {', '.join(boards)}.",
            },
            verbose={
                "optional": ["generate_project", "build", "flash"],
                "help": "Print every program that a build or a flash runs, with its output.",
            },
            cmsis_path={
                "help": "Folder of Arm's CMSIS-NN or CMSIS 5, for a model whose code calls CMSIS-NN. The "
                "project gets copies of the headers and sources that the model needs.",
            },
            warning_as_error={
                "help": "Stop the build at a compiler warning in the device runtime or the platform.",
            },
            compile_definitions={
                "type": "list",
                "help": "Macros for every file of the firmware, for example NAME=1,OTHER.",
            },
            extra_files_tar={
                "help": "Tar that is unpacked into the project's extra/. Its *.c are compiled, its "
                "*.h are found, in every folder.",
            },
        ),
        server.ProjectOption(
            "workspace_size_bytes",
            type="int",
            optional=["generate_project"],
            help="Memory on the device for tensors and workspaces, in bytes. Default: the need of the model.",
        ),
        server.ProjectOption(
            "standalone_input",
            type="str",
            optional=["generate_project"],
            help="Inputs of a standalone firmware: an .npy file, or an .npz file with one array per input. "
            "Default: the values count from 0 to 99, repeatedly.",
        ),
        server.ProjectOption(
            "optimization",
            choices=OPTIMIZATIONS,
            type="str",
            default="O2",
            optional=["generate_project"],
            help=f"Optimization level of the firmware: {', '.join(OPTIMIZATIONS)}.",
        ),
        server.ProjectOption(
            "crt",
            choices=CRTS,
            type="str",
            default="bundled",
            optional=["generate_project"],
            help="bundled: the device runtime of this platform; tvm: TVM's own C runtime, from the folder "
            "standalone_crt_dir.",
        ),
        server.ProjectOption(
            "standalone_crt_dir",
            type="str",
            optional=["generate_project"],
            help="Folder of TVM's own C runtime, for crt=tvm. Default: the folder that TVM passes.",
        ),
        server.ProjectOption(
            "serial_number",
            type="str",
            optional=["generate_project", "flash", "open_transport"],
            help="Serial number of the board, or of its debug probe, when several are connected.",
        ),
        server.ProjectOption(
            "port",
            type="str",
            optional=["flash", "open_transport"],
            help="Serial port of the board, or HOST:PORT. Default: found by the board's USB id.",
        ),
        server.ProjectOption(
            "baud_rate",
            type="int",
            optional=["flash", "open_transport"],
            help="Bits per second of the serial port. Default: those of the firmware.",
        ),
        server.ProjectOption(
            "runner",
            choices=runners,
            type="str",
            optional=["generate_project", "flash", "open_transport"],
            help="Flash tool or emulator. Default: the runner of the board. "
            + (
                f"Runners of all boards: {', '.join(runners)}." if runners else "These boards need no runner."
            ),
        ),
    ]
