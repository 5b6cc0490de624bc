# SPDX-License-Identifier: Apache-2.0
"""Rewriting of ONNX models to the operators and forms that TVM imports correctly.

`simplified` returns an equivalent model of a fixed opset. `supported_operators` has the treatment of each
operator of ONNX. Modules with rules: `simple`, `control`, `recurrent`, `functions` and the ones in `table`.
"""

from runtime.host.compile.onnx_rewrite.model import simplified
from runtime.host.compile.onnx_rewrite.table import supported_operators

__all__ = ["simplified", "supported_operators"]
