# SPDX-License-Identifier: Apache-2.0
"""A board behind a serial port. pyserial opens and configures the port; bytes go through its descriptor.

Opening. The kernel raises DTR and RTS when a port is opened, and lowers them when it is closed. Many boards
reset on such a change. So open() leaves both lines raised, and keeps them raised when the port is closed: the
next open changes nothing. A board that must be reset has a reset method (RESETS). Input from an earlier run
of the firmware is dropped before a reset and never after it.

Sharing. One process uses the port. A lock, which reports its holder, keeps other host tools away; TIOCEXCL
keeps other programs away. A program that opened the port earlier would take bytes away unnoticed; the error
names such a program if the system shows it.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Final, List, Optional

from runtime.host.errors import ToolMissing, TransportClosed, TransportError, reason_of
from runtime.host.system.locks import BoardLock, port_lock
from runtime.host.system.open_files import Holder, holders
from runtime.host.system.packages import how_to_install_requirements
from runtime.host.transports.pipe import PipeTransport
from runtime.host.transports.resets import RESETS

if TYPE_CHECKING:
    import serial

HOLD_SEC: Final = 0.1
"""Length of a reset pulse: longer than the RC circuits of boards need."""

SETTLE_SEC: Final = 0.05
"""Time from the end of a reset to the next change of a line: a boot ROM reads the DTR line until then."""

VANISH_SEC: Final = 2.0
"""Longest time until a restarting board leaves the USB bus. A plain adapter never leaves the bus."""

RETURN_SEC: Final = 10.0
"""Longest time until a board that has left the USB bus is connected again."""

DRAIN_SEC: Final = 0.25
"""Longest wait at close() for written bytes to leave: a packet of 2 KB takes less at 115,200 baud."""

POLL_SEC: Final = 0.01

MEMORY_DEVICES: Final = 1
"""Major number of /dev/null and similar devices on Linux. Half of all processes have /dev/null open."""

MOST_HOLDERS: Final = 3
"""Greatest number of processes that a message names as users of a port."""


class SerialTransport(PipeTransport):
    """Transport over a serial port with 8 data bits, no parity and one stop bit.

    Args:
        path: Path of the serial port.
        baud: Baud rate.
        reset: Reset method for open(), one of RESETS.
        lock: True: keep other host tools away while the port is open.
        lock_timeout_sec: Longest wait of open() for the lock.

    Raises:
        ValueError: The reset method is unknown.
    """

    def __init__(
        self,
        path: str,
        baud: int,
        reset: str = "none",
        lock: bool = True,
        lock_timeout_sec: float = 0.0,
    ) -> None:
        if reset not in RESETS:
            raise ValueError(f"reset: expected one of {', '.join(RESETS)}, got {reset!r}")
        super().__init__(path)
        self._baud = baud
        self._reset = reset
        self.starts_device = reset in ("dtr_rts", "touch_1200")
        self._wants_lock = lock
        self._lock: Optional[BoardLock] = None
        self._lock_timeout_sec = lock_timeout_sec
        self._port: Optional[serial.Serial] = None

    def open(self) -> None:
        """Open the serial port and reset the board.

        Raises:
            ToolMissing: pyserial is not installed.
            TransportError: The port cannot be opened, or another process uses it.
        """
        self._check_closed()
        if self._wants_lock:
            self._lock = port_lock(self.name)  # here, because a symbolic link may have a new target
            self._lock.acquire(self._lock_timeout_sec)
        try:
            _check_unused(self.name)
            if self._reset == "touch_1200":
                self._touch()
            port = self._configured(self._baud)
            try:
                _make_ours(self.name, port.fileno())
                if self._reset == "dtr_rts":
                    self._pulse(port)
                self._attach(port.fileno(), port.fileno())
            except (termios.error, OSError) as error:
                _close(port)
                raise _vanished(self.name, error) from error
            except BaseException:
                _close(port)
                raise
            self._port = port
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def close(self) -> None:
        """Close the serial port, after at most DRAIN_SEC for the last bytes. Safe to call twice."""
        port, self._port = self._port, None
        if port is None:
            return
        self._detach()
        try:
            _drain(port.fileno())
        finally:
            _close(port)
        if self._lock is not None:
            self._lock.release()

    def _configured(self, baud: int) -> serial.Serial:
        """Open the port at a baud rate, drop its input, and return it."""
        try:
            import serial
        except ModuleNotFoundError as error:
            raise ToolMissing(
                "The Python package pyserial is not installed; serial ports need this package.",
                how_to_install_requirements(),
            ) from error
        if baud <= 0:  # for the system, 0 means "hang up"
            raise TransportError(
                f"{self.name} cannot be set to {baud} baud: expected a positive number.",
                "Give the baud rate of the board's firmware.",
            )
        try:
            return serial.Serial(self.name, baud, exclusive=True)
        except OSError as error:
            raise _explained(self.name, error) from error
        except (termios.error, OverflowError, ValueError) as error:
            if error.args[0] in (errno.EIO, errno.ENXIO, errno.ENODEV):
                raise _vanished(self.name, error) from error
            raise TransportError(
                f"{self.name} cannot be set to {baud} baud: {error.args[-1]}.",
                "Check that this path is a serial port, and choose a baud rate that port and board support.",
            ) from error

    def _pulse(self, port: serial.Serial) -> None:
        """Reset the board through either of the two common circuits, then raise both lines.

        In one circuit RTS pulls the reset line. In the other a capacitor passes the falling edge of DTR. An
        open by the system also raises both lines.
        """
        try:
            port.dtr = False
            port.rts = True
            time.sleep(HOLD_SEC)
            port.rts = False
            time.sleep(SETTLE_SEC)
            port.dtr = True
            port.rts = True
        except OSError as error:
            raise TransportError(
                f"{self.name} has no lines DTR and RTS for a reset of the board.",
                'Set "reset" of the board to "none" in boards.json, and reset the board by hand.',
            ) from error

    def _touch(self) -> None:
        """Request a restart from a board with native USB, and wait until the board is connected again."""
        port = self._configured(1200)
        with contextlib.suppress(OSError):  # a port without lines may use the baud rate alone
            port.dtr = False
        _close(port)
        if _within(VANISH_SEC, lambda: not Path(self.name).exists()) and not _within(
            RETURN_SEC, lambda: os.access(self.name, os.R_OK | os.W_OK)
        ):
            raise TransportError(
                f"{self.name} did not reappear within {RETURN_SEC:g} s after the restart of the board.",
                "Press the board's reset button, or plug the board in again; its port may have a new name.",
            )

    def _gone(self) -> TransportClosed:
        return TransportClosed(
            f"{self.name} is gone: the board was unplugged, lost its power or restarted.",
            "Check the board's cable, and open a new session when the port is available again.",
        )


def _vanished(path: str, error: Exception) -> TransportError:
    return TransportError(
        f"{path} vanished while it was opened: {error.args[-1]}.",
        "Check the board's cable and power. List the serial ports with: python mtvm.py ports",
    )


def _close(port: serial.Serial) -> None:
    """Close a port that may have been unplugged."""
    with contextlib.suppress(OSError, termios.error):
        port.close()


def _make_ours(path: str, descriptor: int) -> None:
    # A pseudo-terminal would stay exclusive after its holder is killed, and could not be opened again.
    if not os.path.realpath(path).startswith("/dev/pts/"):
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL  # close() leaves DTR and RTS unchanged
    attributes[6][termios.VMIN] = 1  # with 0, an empty input would read as an end of file
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _drain(descriptor: int) -> None:
    """Wait up to DRAIN_SEC for written bytes to leave, then drop them.

    Otherwise the system would wait half a minute for a dead board when the port is closed.
    """
    pending = array.array("i", [0])
    with contextlib.suppress(OSError, termios.error):  # the port may have been unplugged
        _within(DRAIN_SEC, lambda: fcntl.ioctl(descriptor, termios.TIOCOUTQ, pending) == 0 and not pending[0])
        termios.tcflush(descriptor, termios.TCOFLUSH)


def _within(seconds: float, happens: Callable[[], bool]) -> bool:
    """Return whether `happens` returns true in time."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SEC)
    return True


def _check_unused(path: str) -> None:
    with contextlib.suppress(OSError):  # opening a missing port raises its own error
        if os.major(Path(path).stat().st_rdev) == MEMORY_DEVICES:
            raise TransportError(
                f"{path} is not a serial port.",
                "List the serial ports with: python mtvm.py ports",
            )
    others = holders(path)
    if others:
        raise _busy(path, others)


def _busy(path: str, others: List[Holder]) -> TransportError:
    who = "; ".join(map(str, others[:MOST_HOLDERS])) or "a process of another user, or one that has ended"
    return TransportError(
        f"{path} is in use by {who}.",
        "End the process"
        + (
            f" with `kill {' '.join(str(each.pid) for each in others)}`"
            if 0 < len(others) <= MOST_HOLDERS
            else ""
        )
        + "; it may be a terminal program, or a service that searches for modems.",
    )


def _explained(path: str, error: OSError) -> TransportError:
    if error.errno == errno.ENOENT:
        return TransportError(
            f"Serial port {path} does not exist.",
            "Plug the board in. List the serial ports with: python mtvm.py ports",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return TransportError(
            f"Permission denied: {path}.",
            f"Add yourself to the group of the port with `sudo usermod -aG {_group(path)} $USER` and log in "
            "again, or install a udev rule.",
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        return _busy(path, holders(path))
    if error.errno in (errno.ENXIO, errno.EIO, errno.ENODEV):
        return TransportError(
            f"{path} has no connected device: {reason_of(error)}.", "Plug the board in again."
        )
    return TransportError(
        f"{path} cannot be used as a serial port: {reason_of(error)}.",
        "Check that this path is a serial port. List the serial ports with: python mtvm.py ports",
    )


def _group(path: str) -> str:
    """Return the group that may open a port; dialout, as on Debian, if the group is unknown or root."""
    try:
        group = Path(path).group()
    except (OSError, KeyError):
        return "dialout"
    return "dialout" if group == "root" else group
