# SPDX-License-Identifier: Apache-2.0
"""Choice of the serial port: the named port, the only match, or an error with a list; never a guess."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import List, Optional

import pytest
from serial.tools import list_ports as pyserial_ports

from runtime.host.errors import ToolMissing, TransportError
from runtime.host.execution.choose_port import boards_at, choose_port
from runtime.host.transports.serial_ports import SerialPort, list_ports

NUCLEO = SimpleNamespace(name="nucleo", usb=("0483:374b",))
KIT = SimpleNamespace(name="kit", usb=("1366:1015", "1366:0105"))
PLAIN = SimpleNamespace(name="plain", usb=())

A_NUCLEO = SerialPort("/dev/ttyACM0", "0483:374b", "066AFF", "STM32 STLink")
ANOTHER_NUCLEO = SerialPort("/dev/ttyACM1", "0483:374b", "066BEE", "STM32 STLink")
A_KIT = SerialPort("/dev/ttyACM2", "1366:0105", "0006830", "J-Link")
ITS_SECOND_PORT = SerialPort("/dev/ttyACM3", "1366:0105", "0006830", "J-Link")
AN_ADAPTER = SerialPort("/dev/ttyUSB0", "10c4:ea60", "0006830", "CP2102")
BUILT_IN = SerialPort("/dev/ttyS0", "", "", "")


def choose(board: SimpleNamespace, *ports: SerialPort, **named: Optional[str]) -> str:
    return choose_port(board, list_ports=lambda: ports, **named)  # type: ignore[arg-type]


def refusal(board: SimpleNamespace, *ports: SerialPort, **named: Optional[str]) -> TransportError:
    with pytest.raises(TransportError) as caught:
        choose(board, *ports, **named)
    return caught.value


class TestChoice:
    def test_the_named_port_before_all_else_even_when_it_is_not_listed(self) -> None:
        for port in ("/dev/serial/by-id/mine", "/dev/ttyUSB0"):
            assert choose(NUCLEO, A_NUCLEO, AN_ADAPTER, port=port, serial_number="066AFF") == port

    def test_the_serial_number_before_the_usb_ids(self) -> None:
        assert choose(NUCLEO, A_NUCLEO, ANOTHER_NUCLEO, serial_number="066bee") == "/dev/ttyACM1"
        assert choose(NUCLEO, A_NUCLEO, A_KIT, serial_number="0006830") == "/dev/ttyACM2"

    def test_the_usb_ids_decide_between_ports_of_one_serial_number(self) -> None:
        assert choose(KIT, A_KIT, AN_ADAPTER, serial_number="0006830") == "/dev/ttyACM2"

    def test_the_usb_ids_before_the_only_candidate(self) -> None:
        assert choose(NUCLEO, AN_ADAPTER, A_NUCLEO, A_KIT, BUILT_IN) == "/dev/ttyACM0"
        assert choose(KIT, AN_ADAPTER, A_NUCLEO, A_KIT) == "/dev/ttyACM2"

    @pytest.mark.parametrize("board", [NUCLEO, PLAIN])
    def test_the_only_one_on_usb(self, board: SimpleNamespace) -> None:
        assert choose(board, BUILT_IN, AN_ADAPTER) == "/dev/ttyUSB0"

    def test_several_of_one_kind_are_listed(self) -> None:
        error = refusal(NUCLEO, A_NUCLEO, ANOTHER_NUCLEO, AN_ADAPTER)
        assert "2 serial ports have the USB ids of nucleo" in error.what
        assert "/dev/ttyACM0 (0483:374b, serial number 066AFF, STM32 STLink)" in error.what
        assert "/dev/ttyACM1" in error.what and "/dev/ttyUSB0" not in error.what
        assert "--port" in error.next_step and "--serial-number" in error.next_step

    def test_several_with_one_serial_number_are_listed(self) -> None:
        error = refusal(KIT, A_KIT, ITS_SECOND_PORT, serial_number="0006830")
        assert "2 serial ports have the serial number 0006830" in error.what

    def test_several_that_may_be_it_are_listed(self) -> None:
        error = refusal(PLAIN, A_NUCLEO, AN_ADAPTER, BUILT_IN)
        assert "2 serial ports have a USB id: /dev/ttyACM0" in error.what
        assert "/dev/ttyS0" not in error.what

    def test_a_serial_number_that_no_port_has(self) -> None:
        error = refusal(NUCLEO, A_NUCLEO, serial_number="nope")
        assert "No serial port has the serial number nope; there are these: /dev/ttyACM0" in error.what

    def test_a_port_of_the_machine_itself_is_not_taken_for_a_board(self) -> None:
        error = refusal(NUCLEO, BUILT_IN)
        assert "there are these: /dev/ttyS0." in error.what
        assert "--port" in error.next_step

    def test_no_port_at_all(self) -> None:
        error = refusal(NUCLEO)
        assert error.what == "This machine has no serial port."
        assert "--port" in error.next_step


class TestList:
    def test_ports_are_described_as_boards_json_has_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def comports() -> List[SimpleNamespace]:
            return [
                SimpleNamespace(
                    device="/dev/ttyUSB0", vid=0x483, pid=0x374B, serial_number="066AFF", description="Probe"
                ),
                SimpleNamespace(
                    device="/dev/ttyS0", vid=None, pid=None, serial_number=None, description="n/a"
                ),
            ]

        monkeypatch.setattr(pyserial_ports, "comports", comports)
        assert list_ports() == [
            SerialPort("/dev/ttyS0", "", "", ""),
            SerialPort("/dev/ttyUSB0", "0483:374b", "066AFF", "Probe"),
        ]

    def test_those_of_this_machine_can_be_listed(self) -> None:
        assert all(port.path.startswith("/dev/") for port in list_ports())

    def test_without_pyserial(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "serial.tools.list_ports", None)
        with pytest.raises(ToolMissing, match="pyserial is not installed"):
            list_ports()

    def test_the_boards_that_a_port_may_belong_to(self) -> None:
        boards = [NUCLEO, KIT, PLAIN]
        assert boards_at(A_KIT, boards) == ["kit"]  # type: ignore[arg-type]
        assert boards_at(AN_ADAPTER, boards) == []  # type: ignore[arg-type]
        assert boards_at(BUILT_IN, boards) == []  # type: ignore[arg-type]
