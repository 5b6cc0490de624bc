# SPDX-License-Identifier: Apache-2.0
"""Our own kernels (runtime/kernels) in place of TVM's loops.

rules.py says when an operator is imported whether a kernel takes it; replacement.py replaces the kernel of
TVM in the program; conv.py, depthwise.py and dense.py pack its constants.
"""
