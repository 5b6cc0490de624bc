# SPDX-License-Identifier: Apache-2.0
"""The project options of a platform: one table that TVM, the command line and the code read."""

from __future__ import annotations

from typing import Dict, List

from runtime import server
from runtime.host.boards.board import Board
from runtime.host.boards.table import choose_board

PROJECT_TYPES = ("host_driven", "standalone")
CRTS = ("bundled", "tvm", "standalone")  # standalone: the older name of tvm
OPTIMIZATIONS = ("O0", "O1", "O2", "O3", "Os")


def project_options(boards: Dict[str, Board]) -> List[server.ProjectOption]:
    """Every option that a platform with these boards takes, in the order in which help shows them."""
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
                "standalone: a firmware with its own main that runs the model once and reports.",
            },
            board={
                "choices": tuple(boards),
                "default": default_board,
                "required": None,
                "optional": ["generate_project"],
                "help": f"The board to build for: {', '.join(boards)}.",
            },
            verbose={
                "optional": ["generate_project", "build", "flash"],
                "help": "Print every command of a build or a flash with its output.",
            },
            cmsis_path={
                "help": "The folder of Arm's CMSIS-NN or CMSIS 5, for a model whose code calls CMSIS-NN. The "
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
                "help": "A tar unpacked into the project's extra/: its *.c are compiled, its *.h are found, "
                "whatever folder they are in.",
            },
        ),
        server.ProjectOption(
            "workspace_size_bytes",
            type="int",
            optional=["generate_project"],
            help="Memory on the device for tensors and workspaces; when not given, what the model needs.",
        ),
        server.ProjectOption(
            "standalone_input",
            type="str",
            optional=["generate_project"],
            help="An .npy, or an .npz with an array for each input: what a standalone firmware runs on; "
            "when not given, its inputs count from 0 to 99, again and again.",
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
            help="bundled: the device runtime of this platform; tvm: TVM's own, from its folder "
            "standalone_crt_dir.",
        ),
        server.ProjectOption(
            "standalone_crt_dir",
            type="str",
            optional=["generate_project"],
            help="The folder of TVM's own runtime, for crt=tvm; when not given, what TVM hands over.",
        ),
        server.ProjectOption(
            "serial_number",
            type="str",
            optional=["generate_project", "flash", "open_transport"],
            help="Serial number of the board, or of its debug probe, when several are attached.",
        ),
        server.ProjectOption(
            "port",
            type="str",
            optional=["flash", "open_transport"],
            help="Serial port of the board, or HOST:PORT; when not given, the one that its USB id tells.",
        ),
        server.ProjectOption(
            "baud_rate",
            type="int",
            optional=["flash", "open_transport"],
            help="Bits a second of the serial port; when not given, those that the firmware was built for.",
        ),
        server.ProjectOption(
            "runner",
            choices=runners,
            type="str",
            optional=["generate_project", "flash", "open_transport"],
            help="The flash tool or emulator; when not given, the board's own"
            + (f". Of all boards here: {', '.join(runners)}." if runners else "; these boards need none."),
        ),
    ]
