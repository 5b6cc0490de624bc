# SPDX-License-Identifier: Apache-2.0
"""What a TVM wheel without microTVM lacks, and what takes its place. The door is runtime.host.tvm_micro.

enable.py puts everything in place, connect.py starts relay.py, a process that stands between TVM and a
device.

May import: wire, tvm_rpc, boards, transports, archive, system.
To complete another part of tvm.micro: a function called by enable.enable().
"""
