# SPDX-License-Identifier: Apache-2.0
"""What tests of the bare-metal families share: sessions with emulated boards, and answers that are known."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import numpy as np

from runtime.host.about import Usage, read_usage
from runtime.host.device import running_model
from runtime.host.project import Project
from runtime.host.session import Session, Timeouts
from runtime.host.transports.base import Transport
from tests.conftest import TEMPLATE

DIGITS = TEMPLATE / "examples/digits"
TIMEOUTS = Timeouts(1.0, 10.0, 30.0)
"""Shorter than those of real use: a test that fails does so soon."""

ROOM_OF_A_CALL = 128
"""What a packet with one long argument has besides it, in bytes."""


def new_session(transport: Transport, logs: List[str]) -> Session:
    """A session over an open transport; log messages go into logs."""
    session = Session(transport, timeouts=TIMEOUTS, on_log=logs.append)
    session.open()
    return session


def answers_as_expected(project: Project, archive: Path) -> None:
    """The recorded inputs of an archive give the recorded outputs: exact integers, floats to 1e-5."""
    with np.load(archive.with_suffix(".npz")) as data, running_model(project) as executor:
        for key in data.files:
            if key.startswith("input_"):
                executor.set_input(key[len("input_") :], data[key])
        executor.run()
        want = data["output_0"]
        tolerance = 1e-5 if want.dtype.kind == "f" else 0
        got = executor.get_output(0).reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def classifies_digits(project: Project, count: Optional[int]) -> Usage:
    """So many of the held-out digits, or all, are answered exactly as by the host, and without a word of the
    device; the memory that it used."""
    logs: List[str] = []
    with np.load(DIGITS / "digits_test.npz") as data, running_model(project, on_log=logs.append) as executor:
        for image, want in zip(data["images"][:count], data["expected"][:count]):
            np.testing.assert_array_equal(executor.infer({0: image[None]})[0].ravel(), want.ravel())
        usage = read_usage(executor.rpc)
    assert logs == []
    assert usage is not None
    return usage
