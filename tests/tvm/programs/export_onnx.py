# SPDX-License-Identifier: Apache-2.0
"""Model archives of ONNX models: AOT executor, C code, planned memory.

Usage: export_onnx.py MODEL.onnx ARCHIVE.tar [MODEL.onnx ARCHIVE.tar ...]
"""

import sys

import onnx
import tvm
from common import micro, report
from tvm import relay
from tvm.relay.backend import Executor, Runtime

TARGET = "c -keys=x86,cpu"  # without a tuning log, the schedules of x86 are the fastest that need no download
CONFIG = {"tir.disable_vectorize": True, "tir.usmp.enable": True}

for path, archive in zip(sys.argv[1::2], sys.argv[2::2]):
    module, weights = relay.frontend.from_onnx(onnx.load(path))
    with tvm.transform.PassContext(opt_level=3, config=CONFIG):
        built = relay.build(
            module,
            TARGET,
            executor=Executor("aot", {"interface-api": "packed", "unpacked-api": False}),
            runtime=Runtime("crt", {"system-lib": True}),
            params=weights,
        )
    micro.export_model_library_format(built, archive)
report(exported=len(sys.argv) // 2)
