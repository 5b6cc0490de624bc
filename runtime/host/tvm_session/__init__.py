# SPDX-License-Identifier: Apache-2.0
"""Replacements for the parts of microTVM that a TVM wheel lacks. The entry point is runtime.host.tvm_micro.

enable.py installs the replacements. connect.py starts relay.py, a process between TVM and a device.

May import: wire, tvm_rpc, boards, transports, archive, system.
To complete another part of tvm.micro: write a function in enable.py, and call it from enable.enable().
"""
