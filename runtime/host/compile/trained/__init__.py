# SPDX-License-Identifier: Apache-2.0
"""Trained models as they are given: in ONNX, TensorFlow Lite, PyTorch and Relax."""
