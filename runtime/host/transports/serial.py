# SPDX-License-Identifier: Apache-2.0
"""A board behind a serial port. pyserial opens and configures it; the bytes go through its descriptor.

Opening. The kernel raises DTR and RTS when a port is opened, and lowers them when it is closed; many boards
take a change for a reset. So they are left as they come, and are told to stay when the port is closed: the
next open changes nothing. A board that is to be reset has a method for it (RESETS). What came before, from an
earlier run of the firmware, is dropped before a reset and never after it.

Sharing. One process has the port: a lock for other host tools, which are told who holds it, and TIOCEXCL for
the rest of the world. A program that had opened the port before would take bytes away unseen; it is named
where the system shows it.
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
"""How long a reset is held: more than the RC circuits of boards need."""

SETTLE_SEC: Final = 0.05
"""From the end of a reset to the next change of a line: a boot ROM looks at DTR's meaning until then."""

VANISH_SEC: Final = 2.0
"""A board that restarts leaves the bus within this time; one that is a plain adapter never does."""

RETURN_SEC: Final = 10.0
"""How long a board that has left the bus may take to come back."""

DRAIN_SEC: Final = 0.25
"""What a board gets at close to take the end of what was written: a packet of 2 KB at 115,200 baud."""

POLL_SEC: Final = 0.01

MEMORY_DEVICES: Final = 1
"""The major number of /dev/null and its like on Linux, which half of all processes have open."""

MOST_HOLDERS: Final = 3
"""So many of those who have a port are named in a message."""


class SerialTransport(PipeTransport):
    """The port at path, at so many baud, 8 data bits, no parity, one stop bit.

    reset: one of RESETS, done at open. lock: keep other host tools away while it is open; they wait at most
    their own lock_timeout_sec. Raises ValueError for an unknown reset.
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
            raise ValueError(f"reset is {reset!r}; want one of: {', '.join(RESETS)}")
        super().__init__(path)
        self._baud = baud
        self._reset = reset
        self.starts_device = reset in ("dtr_rts", "touch_1200")
        self._wants_lock = lock
        self._lock: Optional[BoardLock] = None
        self._lock_timeout_sec = lock_timeout_sec
        self._port: Optional[serial.Serial] = None

    def open(self) -> None:
        """Raises ToolMissing without pyserial, TransportError where the port cannot be had."""
        self._check_closed()
        if self._wants_lock:
            self._lock = port_lock(self.name)  # of what the name stands for now
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
        """The port, open, with what was in its input dropped."""
        try:
            import serial
        except ModuleNotFoundError as error:
            raise ToolMissing(
                "The Python package pyserial is not installed; serial ports need it.",
                how_to_install_requirements(),
            ) from error
        if baud <= 0:  # the system takes 0 for "hang up"
            raise TransportError(
                f"There is no speed of {baud} baud.", "Give the one that the board's firmware has."
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
                "Check that it is a serial port, and choose a speed that it and the board know.",
            ) from error

    def _pulse(self, port: serial.Serial) -> None:
        """A reset over both common circuits: RTS pulls the reset line of one, and the falling edge of the
        other's comes through a capacitor from DTR. Afterwards both lines are as every open leaves them."""
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
                f"{self.name} has no lines DTR and RTS to reset the board with.",
                'Set "reset" of the board to "none" in boards.json, and reset it by hand.',
            ) from error

    def _touch(self) -> None:
        """Asks a board with a USB port of its own to restart, and waits until it is back."""
        port = self._configured(1200)
        with contextlib.suppress(OSError):  # what has no lines may look at the speed alone
            port.dtr = False
        _close(port)
        if _within(VANISH_SEC, lambda: not Path(self.name).exists()) and not _within(
            RETURN_SEC, lambda: os.access(self.name, os.R_OK | os.W_OK)
        ):
            raise TransportError(
                f"{self.name} did not come back in {RETURN_SEC:g} s after the board was told to restart.",
                "Press its reset button, or plug it in again; it may have another port name now.",
            )

    def _gone(self) -> TransportClosed:
        return TransportClosed(
            f"{self.name} is gone: the board was unplugged, lost its power or restarted.",
            "Check its cable, and open a new session when it is back.",
        )


def _vanished(path: str, error: Exception) -> TransportError:
    return TransportError(
        f"{path} vanished while it was opened: {error.args[-1]}.",
        "Check its cable and its power; python -m runtime.host ports shows the ports that there are.",
    )


def _close(port: serial.Serial) -> None:
    """Close a port that may have been unplugged."""
    with contextlib.suppress(OSError, termios.error):
        port.close()


def _make_ours(path: str, descriptor: int) -> None:
    # A pseudo-terminal would stay exclusive when its holder is killed, and could not be opened again.
    if not os.path.realpath(path).startswith("/dev/pts/"):
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL  # closing leaves DTR and RTS as they are
    attributes[6][termios.VMIN] = 1  # nothing to read is then no end of file
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _drain(descriptor: int) -> None:
    """Gives the board a moment to take what was written, then drops it: closing would wait for a dead board
    for half a minute."""
    pending = array.array("i", [0])
    with contextlib.suppress(OSError, termios.error):  # it may have been unplugged
        _within(DRAIN_SEC, lambda: fcntl.ioctl(descriptor, termios.TIOCOUTQ, pending) == 0 and not pending[0])
        termios.tcflush(descriptor, termios.TCOFLUSH)


def _within(seconds: float, happens: Callable[[], bool]) -> bool:
    """Whether it happens in that time."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SEC)
    return True


def _check_unused(path: str) -> None:
    with contextlib.suppress(OSError):  # what is not there is told of when it is opened
        if os.major(Path(path).stat().st_rdev) == MEMORY_DEVICES:
            raise TransportError(
                f"{path} is no serial port.",
                "python -m runtime.host ports shows those that there are.",
            )
    others = holders(path)
    if others:
        raise _busy(path, others)


def _busy(path: str, others: List[Holder]) -> TransportError:
    who = "; ".join(map(str, others[:MOST_HOLDERS])) or "a process of another user, or one that has ended"
    return TransportError(
        f"{path} is in use by {who}",
        "End it"
        + (
            f" with: kill {' '.join(str(each.pid) for each in others)}"
            if 0 < len(others) <= MOST_HOLDERS
            else ""
        )
        + "; a terminal program or a service that looks for modems may be the one.",
    )


def _explained(path: str, error: OSError) -> TransportError:
    if error.errno == errno.ENOENT:
        return TransportError(
            f"There is no port {path}.",
            "Plug the board in; python -m runtime.host ports shows the ports that there are.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return TransportError(
            f"You may not open {path}.",
            f"Join the group that may, and log in again: sudo usermod -aG {_group(path)} $USER; "
            "a rule of udev can give it to you as well.",
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        return _busy(path, holders(path))
    if error.errno in (errno.ENXIO, errno.EIO, errno.ENODEV):
        return TransportError(
            f"{path} has no device behind it: {reason_of(error)}.", "Plug the board in again."
        )
    return TransportError(
        f"{path} cannot be used as a serial port: {reason_of(error)}.",
        "Check that it is one; python -m runtime.host ports shows those that there are.",
    )


def _group(path: str) -> str:
    """The group that may open a port; on Debian that is dialout."""
    try:
        group = Path(path).group()
    except (OSError, KeyError):
        return "dialout"
    return "dialout" if group == "root" else group
