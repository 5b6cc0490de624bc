# SPDX-License-Identifier: Apache-2.0
"""Byte pipes to devices: a process, an emulator, a socket, a serial port.

base.Transport is the interface. A transport does not depend on a board, and does not interpret its bytes.

May import: archive, system, errors, dtype.
To add a transport: write a class with the methods of base.Transport in its own module, preferably a subclass
of pipe.PipeTransport. Then add its name to boards/table.TRANSPORTS and its case to execution/connection.py.
"""
