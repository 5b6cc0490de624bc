# SPDX-License-Identifier: Apache-2.0
"""Quantized operators of a model as operators on integers.

A quantized net computes DequantizeLinear -> operator -> QuantizeLinear for each operator. Here such a group
becomes one operator of our domain (operators.py), which needs no floating-point number. A group that has no
form in integers stays as it is.
"""

from runtime.host.compile.integers.model import with_integers

__all__ = ["with_integers"]
