# SPDX-License-Identifier: Apache-2.0
"""What a TVM wheel without microTVM lacks. runtime.host.tvm_micro puts it in place."""
