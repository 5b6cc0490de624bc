# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite files: conversion to ONNX, and the runtime LiteRT as their reference."""

from runtime.host.compile.tflite.model import tflite_to_onnx
from runtime.host.compile.tflite.reference import TfliteReference

__all__ = ["TfliteReference", "tflite_to_onnx"]
