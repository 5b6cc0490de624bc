# SPDX-License-Identifier: Apache-2.0
"""One run of a standalone firmware, which has no session and reports in plain text."""

from __future__ import annotations

import re
import signal
import time
from typing import Final

from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.errors import TransportClosed, TransportError, TransportTimeout
from runtime.host.execution.connection import check_built, instruction_ns, transport_for
from runtime.host.project.project import Project
from runtime.host.system.programs import run_tool
from runtime.host.transports.base import Transport

STANDALONE_TIMEOUT_SEC: Final = 60.0
OUTCOME: Final = re.compile(r"^outcome: (\d+)\s*$", re.MULTILINE)  # last line of a report
MICROSECONDS: Final = re.compile(r"^microseconds: (\d+)$", re.MULTILINE)
TAIL_BYTES: Final = 128 << 10  # end of a report that is searched for the outcome: more than one read returns
MAX_REPORT_BYTES: Final = 4 << 20


def run_standalone(project: Project, attachment: Attachment = BY_DEFAULT) -> str:
    """Run a standalone firmware, and return its report.

    The report of a board that counts instructions has their number in place of the microseconds.

    Raises:
        TransportError: The firmware crashed, failed, or did not finish within STANDALONE_TIMEOUT_SEC.
    """
    if project.settings.config.cross:
        report = _read_report(project, transport_for(project, attachment))
        rate = instruction_ns(project, attachment)
        return report if rate is None else _in_instructions(report, rate)
    return _run_here(project)


def _in_instructions(report: str, rate: int) -> str:
    """Return the report with instructions; their number is uncertain by the firmware's unit of 1 us."""
    return MICROSECONDS.sub(lambda found: f"instructions: about {round(1000 * int(found[1]) / rate)}", report)


def _run_here(project: Project) -> str:
    """Run a firmware that is a program on this machine, and return its report."""
    check_built(project)
    result = run_tool([str(project.firmware)], cwd=project.directory, timeout_sec=STANDALONE_TIMEOUT_SEC)
    if result.timed_out:
        raise TransportError(
            f"The standalone firmware did not exit within {STANDALONE_TIMEOUT_SEC:.0f} s.",
            f"Run the firmware in a debugger to find where it waits: {project.firmware}",
            result.output,
        )
    if result.exit_code < 0:
        raise TransportError(
            f"The standalone firmware was ended by {signal.Signals(-result.exit_code).name}.",
            f"Run the firmware in a debugger to find where it crashed: {project.firmware}",
            result.output,
        )
    if result.exit_code != 0:
        raise TransportError(
            f"The standalone firmware failed with exit status {result.exit_code}.",
            "Read the cause in the report below.",
            result.output,
        )
    return result.output


def _read_report(project: Project, transport: Transport) -> str:
    """Return the report that a firmware on a board sends, up to its outcome."""
    report = b""
    deadline = time.monotonic() + STANDALONE_TIMEOUT_SEC
    transport.open()
    try:
        while not OUTCOME.search(report[-TAIL_BYTES:].decode("utf-8", "replace")):
            report += transport.read(1, max(0.0, deadline - time.monotonic()))
            if len(report) > MAX_REPORT_BYTES:
                raise TransportClosed(
                    f"The report exceeds {MAX_REPORT_BYTES:,} bytes.", "Check the report below."
                )
    except (TransportTimeout, TransportClosed) as error:
        raise TransportError(
            f"The standalone firmware sent no outcome within {STANDALONE_TIMEOUT_SEC:.0f} s. {error.what}",
            "Reset the board to run the firmware again.",
            report.decode("utf-8", "replace"),
        ) from error
    finally:
        transport.close()
    text = report.decode("utf-8", "replace")
    outcome = OUTCOME.search(text)
    if outcome is None or outcome[1] != "0":
        raise TransportError("The standalone firmware failed.", "Read the cause in the report below.", text)
    return text
