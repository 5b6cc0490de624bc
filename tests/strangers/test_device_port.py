# SPDX-License-Identifier: Apache-2.0
"""Addition of a UART driver and a device port by docs/how-to/add-a-device-port.md alone."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Final

import numpy
import pytest

from runtime.host.boards.table import load_boards
from runtime.host.errors import BoardError
from runtime.host.project.board_support import port_config
from tests.conftest import Baker, Platform
from tests.support.additions import EXACT, add_board, type_command
from tests.support.pages import changed_files, check_places, how_to, places_to_add, read_tree

PAGE: Final = how_to("add-a-device-port")
MODEL: Final = "models/digits_aot.tar"
LONGEST_START_SEC: Final = 20.0

# Microchip's SmartFusion2 has a 16550 with 4 bytes from register to register. The driver ns16550 expects
# registers in adjacent bytes.
SMARTFUSION2_UART: Final = r"""/* SPDX-License-Identifier: Apache-2.0 */
/* MMUART of Microchip SmartFusion2 (UG0331, chapter 14): a 16550 with a word for each register. */
#include "../baremetal/port.h"
#include "divisor.h"

#define WORD(number) MTVM_REGISTER(32, BOARD_UART_ADDRESS + 4u * (number))
#define DATA WORD(0)          /* low byte of the divisor while LATCH is set */
#define INTERRUPTS WORD(1)    /* high byte of the divisor while LATCH is set */
#define FIFO WORD(2)
#define LINE WORD(3)
#define STATE WORD(5)

#define RECEIVED 0x01u
#define SENT 0x20u
#define LATCH 0x80u
#define EIGHT_BITS 0x03u
#define CLEAR_BOTH 0x07u

#define DIVISOR MTVM_DIVISOR(1, 16)
MTVM_CHECK_DIVISOR(DIVISOR, 1, 0xffff);

void mtvm_uart_init(void) {
  LINE = LATCH;
  DATA = (uint32_t)(DIVISOR & 0xff);
  INTERRUPTS = (uint32_t)(DIVISOR >> 8);
  LINE = EIGHT_BITS;
  FIFO = CLEAR_BOTH;
  INTERRUPTS = RECEIVED;
}

void mtvm_uart_interrupt(void) {
  while ((STATE & RECEIVED) != 0) {
    mtvm_ring_put((uint8_t)DATA);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATE & SENT) == 0) {
  }
  DATA = byte;
}
"""
SMARTFUSION2: Final[Dict[str, Any]] = {
    "label": "Emcraft SmartFusion2 SOM: Cortex-M3, 256 KB flash, 64 KB RAM (emulated)",
    "family": "cortex_m",
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "emulated",
    "cpu": "cortex-m3",
    "clock_hz": 142000000,
    "memory": {
        "flash": {"address": "0x00000000", "bytes": 262144},
        "ram": {"address": "0x20000000", "bytes": 65536},
    },
    "uart": {
        "kind": "smartfusion2",
        "address": "0x40000000",
        "interrupt": 10,
        "clock_hz": 71000000,
        "baud": 115200,
    },
    "runner": "qemu",
    "runners": {"qemu": {"program": "qemu-system-arm", "machine": "emcraft-sf2"}},
}

# Firmware that is a network service on a computer such as a Raspberry Pi.
TCP_PORT: Final = r"""/* SPDX-License-Identifier: Apache-2.0 */
/* Platform functions of a program on a POSIX system that serves one host at a time over TCP. */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <fcntl.h>
#include <microtvm/platform.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int host = -1;
static struct timespec started;

tvm_crt_error_t TVMPlatformInitialize(void) {
  const char *const number = getenv("LINK_PORT");
  const struct sockaddr_in here = {
      .sin_family = AF_INET,
      .sin_port = htons((uint16_t)atoi(number == NULL ? "9700" : number)),
      .sin_addr = {htonl(INADDR_LOOPBACK)},
  };
  const int yes = 1;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (const struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 1) != 0) {
    return kTvmErrorPlatformCheckFailure;
  }
  host = accept(listener, NULL, NULL);
  (void)close(listener);
  return host >= 0 ? kTvmErrorNoError : kTvmErrorPlatformCheckFailure;
}

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  const ssize_t got = recv(host, data, capacity, 0);
  return got > 0 ? (size_t)got : 0;
}

bool mtvm_platform_write(const uint8_t *data, size_t n) {
  while (n > 0) {
    const ssize_t put = send(host, data, n, 0);
    if (put <= 0) {
      return false;
    }
    data += put;
    n -= (size_t)put;
  }
  return true;
}

tvm_crt_error_t TVMPlatformTimerStart(void) {
  return clock_gettime(CLOCK_MONOTONIC, &started) == 0 ? kTvmErrorNoError : kTvmErrorPlatformTimerBadState;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
    return kTvmErrorPlatformTimerBadState;
  }
  *elapsed_seconds = (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) * 1e-9;
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  const int file = open("/dev/urandom", O_RDONLY);
  const ssize_t got = file < 0 ? -1 : read(file, buffer, n);
  (void)close(file);
  return got == (ssize_t)n ? kTvmErrorNoError : kTvmErrorPlatformCheckFailure;
}

void TVMPlatformAbort(tvm_crt_error_t code) { _exit((int)code & 0x7f); }

size_t mtvm_platform_stack_size(void) { return 0; }

size_t mtvm_platform_stack_used(void) { return 0; }
"""


@pytest.mark.slow
def test_a_file_adds_a_uart_driver(bake: Baker) -> None:
    platform = bake(board_family="cortex_m").path
    before = read_tree(platform)
    driver = platform / "runtime/device/ports/uart/smartfusion2.c"
    driver.write_text(SMARTFUSION2_UART, encoding="utf-8")
    add_board(platform / "boards.json", "emcraft_sf2", SMARTFUSION2)
    check_places(changed_files(before, read_tree(platform)), places_to_add("a UART driver", PAGE))

    words = ("-o", "board=emcraft_sf2", "-o", "warning_as_error=true")
    assert EXACT in type_command(platform, "check", *words)


@pytest.mark.slow
def test_a_folder_adds_a_device_port(bake: Baker, tmp_path: Path) -> None:
    platform = bake().path
    before = read_tree(platform)
    folder = platform / "runtime/device/ports/tcp"
    folder.mkdir()
    (folder / "platform.c").write_text(TCP_PORT, encoding="utf-8")
    number = free_port()
    entry = {
        "label": "A service on this machine, reached over TCP",
        "family": "host",
        "device_port": "tcp",
        "transport": "socket",
        "address": f"127.0.0.1:{number}",
        "memory": None,
        "verified": "run",
    }
    add_board(platform / "boards.json", "service", entry)
    check_places(changed_files(before, read_tree(platform)), places_to_add("a device port", PAGE))

    options = ("-o", "board=service", "-o", "warning_as_error=true")
    type_command(platform, "build", MODEL, *options)
    (firmware,) = platform.glob("projects/*/build/firmware.elf")
    digits = numpy.load(platform / "models/digits_test.npz")
    numpy.save(tmp_path / "digit.npy", digits["images"][:1])
    outputs = tmp_path / "outputs.npz"
    with subprocess.Popen([str(firmware)], env={**os.environ, "LINK_PORT": str(number)}) as service:
        try:
            wait_for_listener(number)
            files = ("--input", str(tmp_path / "digit.npy"), "--output", str(outputs))
            type_command(platform, "run", MODEL, *options, *files)
        finally:
            service.kill()
    (answer,) = numpy.load(outputs).values()
    numpy.testing.assert_array_equal(answer, digits["expected"][:1])


@pytest.mark.parametrize("name", ["no_such_port", "uart", "baremetal"])
def test_a_wrong_device_port_lists_the_folders_that_are_one(default_platform: Platform, name: str) -> None:
    host = load_boards(default_platform.path / "boards.json")["host"]
    with pytest.raises(BoardError, match=f"device port '{name}' does not exist in") as caught:
        port_config(default_platform.path, host._replace(device_port=name), {})
    assert caught.value.next_step == "Set device_port to one of: cortex_m, custom, host, riscv."


def free_port() -> int:
    """Return a TCP port of the loopback interface without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_listener(number: int) -> None:
    """Wait for a listener on a TCP port without a connection, because the service accepts only one."""
    row = f"0100007F:{number:04X} 00000000:0000 0A"  # local address, remote address, LISTEN
    deadline = time.monotonic() + LONGEST_START_SEC
    while row not in Path("/proc/net/tcp").read_text(encoding="ascii"):
        assert time.monotonic() < deadline, "Timeout: the service does not listen."
        time.sleep(0.02)
