# SPDX-License-Identifier: Apache-2.0
"""Compilation of a model of today, such as an ONNX file, to a verified model archive.

Only this package imports today's TVM. An import of the package itself imports none of it.
"""

from runtime.host.compile.api import CompiledModel, compile_model

__all__ = ["CompiledModel", "compile_model"]
