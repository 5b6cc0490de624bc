# SPDX-License-Identifier: Apache-2.0
"""Board on a faulty serial line: host firmware behind a pseudo-terminal that injects faults.

A FaultyBoard passes bytes between host and firmware and applies a list of Fault. The position of a fault is
the number of bytes that passed in its direction. A seeded generator draws faults, so that a run can be
repeated; only the nonces of the sessions differ.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import threading
import time
import tty
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Dict, Final, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.errors import PlatformError
from runtime.host.execution.create_executor import create_executor
from runtime.host.transports.process import ProcessTransport
from runtime.host.transports.serial import SerialTransport
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session, Timeouts

KINDS: Final = ("dropped", "flipped", "doubled", "delayed", "cut off", "reset", "unplugged")

# For the session with a fault. Short, because a timeout detects most faults.
BAD_TIMEOUTS: Final = Timeouts(0.03, 0.15, 0.04)
FIRST_FRAME_SEC: Final = 0.005
LONGEST_DELAY_SEC: Final = 0.06  # some delays exceed the session's timeouts

# For the session that follows, which must succeed.
GOOD_TIMEOUTS: Final = Timeouts(0.1, 5.0, 5.0)

LOOK_SEC: Final = 0.002
"""Interval between checks for an open port."""

HANG_SEC: Final = 10.0
"""Longer than all timeouts of one session together: a session that takes longer hangs."""


class Fault(NamedTuple):
    """One fault of a line.

    Attributes:
        kind: One of KINDS.
        to_device: Direction.
        offset: Bytes that pass in this direction before the fault.
        amount: Number of bytes dropped or duplicated, index of the flipped bit, or delay in seconds.
    """

    kind: str
    to_device: bool
    offset: int
    amount: float


def draw_faults(kind: str, generator: random.Random, lengths: Tuple[int, int]) -> List[Fault]:
    """Draw one to three faults of a kind.

    Args:
        kind: One of KINDS.
        generator: Seeded source of the faults.
        lengths: Bytes of a whole session to the device, and to the host.
    """
    once = kind in ("cut off", "reset", "unplugged")
    faults = []
    for _ in range(1 if once else generator.choice((1, 1, 2, 3))):
        to_device = generator.random() < 0.5
        amount: float = generator.choice((1, 1, 1, 2, 5, 40))
        if kind == "flipped":
            amount = generator.randrange(8)
        elif kind == "delayed":
            amount = generator.uniform(0, LONGEST_DELAY_SEC)
        faults.append(Fault(kind, to_device, generator.randrange(lengths[0 if to_device else 1]), amount))
    return sorted(faults, key=lambda fault: fault.offset)


class Line:
    """One direction of the line.

    Attributes:
        passed: Bytes since the faults were set.
    """

    def __init__(self) -> None:
        self.set_faults([])

    def set_faults(self, faults: Sequence[Fault]) -> None:
        self.passed = 0
        self._faults = list(faults)
        self._cut = False

    def feed(self, data: bytes) -> Iterator[Tuple[bytes, Optional[Fault]]]:
        """Yield pieces to pass on, each with a fault that the board must apply after the piece, or None."""
        while self._faults and self._faults[0].offset < self.passed + len(data):
            fault = self._faults.pop(0)
            at = max(0, fault.offset - self.passed)
            before, data = data[:at], data[at:]
            self.passed += at
            if fault.kind == "flipped":
                flipped = bytes([data[0] ^ 1 << int(fault.amount)])
                yield self._through(before + flipped), None
                self.passed, data = self.passed + 1, data[1:]
            elif fault.kind == "dropped":
                yield self._through(before), None
                size = min(int(fault.amount), len(data))
                self.passed, data = self.passed + size, data[size:]
            elif fault.kind == "doubled":
                yield self._through(before + data[: int(fault.amount)]), None
            elif fault.kind == "cut off":
                yield self._through(before), None
                self._cut = True
            else:
                yield self._through(before), fault
        self.passed += len(data)
        yield self._through(data), None

    def _through(self, data: bytes) -> bytes:
        return b"" if self._cut else data


class FaultyBoard:
    """Firmware behind a pseudo-terminal, whose port keeps its name when the board is plugged in again.

    A thread passes the bytes on. Only this thread changes the board; other threads may do so between sessions
    if they hold the lock.
    """

    def __init__(self, firmware: Path, directory: Path) -> None:
        self.port = directory / "port"
        self._firmware = firmware
        self._lines = {True: Line(), False: Line()}  # key: whether the direction is "to the device"
        self._late: Dict[bool, List[Tuple[float, bytes]]] = {True: [], False: []}
        self._master = -1
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        self._ends = self._restarts = False
        self._restarted = threading.Event()
        self._plug_in()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._ends = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> FaultyBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Replace all faults. Delayed bytes stay delayed, and an unplugged board is plugged in again."""
        with self._lock:
            for to_device, line in self._lines.items():
                line.set_faults([fault for fault in faults if fault.to_device is to_device])
            if self._process is None:
                self._plug_in()
        os.write(self._wake_write, b"x")

    def restart(self) -> None:
        """Restart the board as its reset button does; an unplugged board ignores this.

        The board's thread restarts the firmware, because it may be reading the pipe that a restart closes.
        """
        self._restarted.clear()
        self._restarts = True
        os.write(self._wake_write, b"x")
        self._restarted.wait()

    def passed(self) -> Tuple[int, int]:
        """Return the bytes to the device and to the host since the faults were set."""
        with self._lock:
            return self._lines[True].passed, self._lines[False].passed

    def _plug_in(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._power_on()

    def _unplug(self) -> None:
        if self._process is not None:
            self._power_off()
            self.port.unlink()
            os.close(self._master)

    def _power_on(self) -> None:
        self._process = subprocess.Popen(
            [self._firmware], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _power_off(self) -> None:
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    def _run(self) -> None:
        nobody_until = 0.0  # poll reports POLLHUP while no process has the port open
        while not self._ends:
            now = time.monotonic()
            moments = []
            poll = select.poll()
            poll.register(self._wake_read, select.POLLIN)
            output = -1
            with self._lock:
                if self._process is not None and self._process.stdout is not None:
                    output = self._process.stdout.fileno()
                    poll.register(output, select.POLLIN)
                    if now < nobody_until:
                        moments.append(nobody_until)
                    else:
                        poll.register(self._master, select.POLLIN)
                moments += [late[0][0] for late in self._late.values() if late]
            events = dict(poll.poll(max(0.0, min(moments) - now) * 1000 if moments else None))
            if self._wake_read in events:
                os.read(self._wake_read, 64)
                with self._lock:
                    if self._restarts and self._process is not None:
                        self._power_off()
                        self._power_on()
                    if self._restarts:
                        self._restarts = False
                        self._restarted.set()
                continue
            with self._lock:
                self._pass_on_late()
                if events.get(self._master, 0) & select.POLLIN and self._process is not None:
                    self._take(True, os.read(self._master, 1 << 16))
                elif events.get(self._master, 0) & select.POLLHUP:
                    nobody_until = now + LOOK_SEC
                if output in events and self._process is not None:
                    self._take(False, os.read(output, 1 << 16))

    def _take(self, to_device: bool, data: bytes) -> None:
        for piece, fault in self._lines[to_device].feed(data):
            if self._process is None:
                return
            if piece:
                self._send(to_device, piece)
            if fault is None:
                continue
            if fault.kind == "delayed":
                self._late[to_device].append((time.monotonic() + fault.amount, b""))
            else:
                self._unplug() if fault.kind == "unplugged" else self._power_off()
                for late in self._late.values():
                    late.clear()
                if fault.kind == "reset":
                    self._power_on()
                return

    def _send(self, to_device: bool, data: bytes) -> None:
        """Pass bytes on, or queue them behind delayed bytes."""
        if self._late[to_device]:
            self._late[to_device].append((self._late[to_device][-1][0], data))
        elif to_device:
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(data)
        else:
            with contextlib.suppress(BlockingIOError):  # no reader; a UART loses these bytes too
                os.write(self._master, data)

    def _pass_on_late(self) -> None:
        now = time.monotonic()
        for to_device, late in self._late.items():
            while late and late[0][0] <= now:
                _, data = late.pop(0)
                rest, late[:] = late[:], []
                if data and self._process is not None:
                    self._send(to_device, data)
                late[:] = rest


@dataclass
class Tally:
    """Outcomes of the sessions with one kind of fault.

    Attributes:
        kind: One of KINDS.
        sessions: Number of sessions with a fault.
        right: Sessions with only right results.
        named: Messages of errors, and their counts.
        failures: Sessions with a wrong result, an error other than PlatformError, or a hang, each with its
            faults.
        recovery: Seconds of each session that followed.
    """

    kind: str
    sessions: int = 0
    right: int = 0
    named: Counter[str] = field(default_factory=Counter)
    failures: List[Tuple[str, List[Fault]]] = field(default_factory=list)
    recovery: List[float] = field(default_factory=list)


class Hang(BaseException):
    """Timeout of a session. A BaseException, so that no `except Exception` catches it."""


class Bench:
    """Sessions with one model on a faulty board.

    Each inference has different inputs, so that the outputs of another inference are detected.
    """

    def __init__(self, archive_path: Path, firmware: Path, board: FaultyBoard) -> None:
        self._archive = ModelArchive.open(archive_path)
        self._board = board
        self._samples = self._answered(firmware)
        self._count = 0
        board.set_faults([])
        self._converse(GOOD_TIMEOUTS)
        self.lengths = board.passed()
        """Bytes of a whole session to the device, and to the host."""

    def run(self, kind: str, sessions: int, seed: int = 0) -> Tally:
        """Run sessions with faults of a kind, each followed by a session without faults that must succeed.

        Args:
            kind: One of KINDS.
            sessions: Number of sessions with faults.
            seed: Seed of the generator, together with kind.
        """
        generator = random.Random(f"{kind} {seed}")
        tally = Tally(kind)
        for _ in range(sessions):
            faults = draw_faults(kind, generator, self.lengths)
            self._board.set_faults(faults)
            tally.sessions += 1
            try:
                with ends_within(HANG_SEC):
                    right = self._converse(BAD_TIMEOUTS)
                if right:
                    tally.right += 1
                else:
                    tally.failures.append(("wrong result", faults))
            except PlatformError as error:
                tally.named[f"{type(error).__name__}: {error.what}"] += 1
            except Hang:
                tally.failures.append(("hang", faults))
            except Exception as error:
                tally.failures.append((f"unexpected error: {error!r}", faults))
            self._board.set_faults([])
            started = time.monotonic()
            try:
                with ends_within(HANG_SEC):
                    if not self._converse(GOOD_TIMEOUTS):
                        tally.failures.append(("wrong result in the next session", faults))
            except (Exception, Hang) as error:
                tally.failures.append((f"next session failed: {error!r}", faults))
            tally.recovery.append(time.monotonic() - started)
        return tally

    def _converse(self, timeouts: Timeouts) -> bool:
        """Open a session, run two inferences, and return whether both results are right."""
        transport = SerialTransport(str(self._board.port), 115200)
        transport.open()
        try:
            session = Session(transport, timeouts=timeouts, first_frame_sec=FIRST_FRAME_SEC)
            session.open()
            executor = create_executor(RpcClient(session), self._archive)
            for _ in range(2):
                self._count += 1
                inputs, expected = self._samples[self._count % len(self._samples)]
                outputs = executor.infer(inputs)
                if not all(map(numpy.array_equal, outputs, expected)):
                    return False
            session.close()
        finally:
            transport.close()
        return True

    def _answered(self, firmware: Path) -> List[Tuple[Dict[str, numpy.ndarray], List[numpy.ndarray]]]:
        """Return inputs, and this firmware's outputs for them over a line without faults."""
        generator = numpy.random.default_rng(1)
        transport = ProcessTransport([firmware])
        transport.open()
        try:
            session = Session(transport)
            session.open()
            executor = create_executor(RpcClient(session), self._archive)
            samples = []
            for _ in range(7):
                inputs = {
                    spec.name: generator.integers(0, 100, spec.shape).astype(spec.dtype)
                    for spec in executor.inputs
                }
                samples.append((inputs, executor.infer(inputs)))
        finally:
            transport.close()
        return samples


@contextlib.contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Raise Hang if the body takes longer. Works only in the main thread."""

    def ring(_number: int, _frame: Optional[FrameType]) -> None:
        raise Hang(f"Still running after {seconds:g} s.")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
