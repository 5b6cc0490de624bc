# SPDX-License-Identifier: Apache-2.0
"""Entry point for programs with a TVM wheel that was built without microTVM.

Use::

    import runtime.host.tvm_micro    # first; imports tvm
    import tvm.micro                 # Session, GeneratedProject, ... as in a TVM with microTVM

The import calls tvm_session.enable.enable(), which does not change a TVM that has microTVM.
"""

from __future__ import annotations

from runtime.host.tvm_session.enable import enable

__all__ = ["enable"]

enable()
