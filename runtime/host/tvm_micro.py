# SPDX-License-Identifier: Apache-2.0
"""Entry point for programs with a TVM wheel that was built without microTVM.

Import it before tvm.micro, which then has Session, GeneratedProject and the rest of a TVM with microTVM. The
import calls tvm_session.enable.enable(), which does not change a TVM that has microTVM.
"""

from __future__ import annotations

from runtime.host.tvm_session.enable import enable

__all__ = ["enable"]

enable()
