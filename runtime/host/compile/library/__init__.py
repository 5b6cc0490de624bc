# SPDX-License-Identifier: Apache-2.0
"""Our own kernels (runtime/kernels) in place of TVM's loops.

The rules of rules.py choose a kernel when an operator is imported; replacement.py puts it in the place of
TVM's in the program; conv.py, strip.py, depthwise.py and dense.py pack its constants.
"""
