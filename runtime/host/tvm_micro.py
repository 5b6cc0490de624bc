# SPDX-License-Identifier: Apache-2.0
"""The door for programs with a TVM wheel that was built without microTVM:

    import runtime.host.tvm_micro    # first; it imports tvm
    import tvm.micro                 # Session, GeneratedProject, ... as a TVM with microTVM has them

A TVM that has microTVM is left as it is; see tvm_session/enable.py.
"""

from __future__ import annotations

from runtime.host.tvm_session.enable import enable

__all__ = ["enable"]

enable()
