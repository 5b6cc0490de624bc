# SPDX-License-Identifier: Apache-2.0
"""Model files of other kinds, which users give in place of a model archive."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Mapping, NamedTuple, Optional

EXPLAINED: Final = "docs/compile.md of the platform explains the export."


class OtherModel(NamedTuple):
    """Kind of a model file.

    Attributes:
        kind: Noun phrase.
        next_step: Sentence with the way to a model that this platform takes.
    """

    kind: str
    next_step: str


_TENSORFLOW: Final = OtherModel(
    "a TensorFlow model",
    f"Convert it to TensorFlow Lite with tf.lite.TFLiteConverter, or to ONNX with tf2onnx; {EXPLAINED}",
)
_TORCH: Final = OtherModel(
    "a PyTorch model that has Python objects",
    f"Export it with torch.export.export, and save it with torch.export.save as MODEL.pt2; {EXPLAINED}",
)
_KERAS: Final = OtherModel(
    "a Keras model", f"Export it as ONNX with model.export(format='onnx') of Keras, or tf2onnx; {EXPLAINED}"
)
OTHER_MODELS: Final[Mapping[str, OtherModel]] = {
    ".onnx": OtherModel("an ONNX model", "Compile it first: python mtvm.py compile MODEL.onnx"),
    ".tflite": OtherModel("a TensorFlow Lite model", "Compile it first: python mtvm.py compile MODEL.tflite"),
    ".pt": _TORCH,
    ".pt2": OtherModel("a program of torch.export", "Compile it first: python mtvm.py compile MODEL.pt2"),
    ".pth": _TORCH,
    ".h5": _KERAS,
    ".keras": _KERAS,
    ".pb": _TENSORFLOW,
}
"""Suffix of a file -> the model in it."""


def other_model(path: Path) -> Optional[OtherModel]:
    """Return the kind of model that the suffix of a file names; None for an unknown suffix."""
    return OTHER_MODELS.get(path.suffix.lower())
