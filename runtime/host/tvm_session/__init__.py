# SPDX-License-Identifier: Apache-2.0
"""Session support for a TVM wheel without microTVM. Programs import it through runtime.host.tvm_micro.

enable.py installs all parts. connect.py starts relay.py, a process that relays between TVM and a device.

May import: wire, tvm_rpc, boards, transports, archive, system.
To complete another part of tvm.micro: a function called by enable.enable().
"""
