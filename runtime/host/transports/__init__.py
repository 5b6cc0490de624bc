# SPDX-License-Identifier: Apache-2.0
"""Byte pipes to devices: a process, an emulator, a socket, a serial port.

base.Transport is the contract. A transport knows no board, and nothing of what its bytes mean.

May import: archive, system, errors, dtype.
To add a transport: a class with the methods of base.Transport, best a subclass of pipe.PipeTransport, in a
module of its own; then its name in boards/table.TRANSPORTS and its case in execution/connection.py.
"""
