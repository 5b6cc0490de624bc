# SPDX-License-Identifier: Apache-2.0
"""Variants of operators: the rewritten model has onnxruntime's answer for the model itself."""

from __future__ import annotations

from typing import Final

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from runtime.host.compile.onnx_rewrite import simplified
from tests.compile.onnx_rewrite.operator_variants import Variant, all_variants
from tests.compile.onnx_rewrite.running import by_onnxruntime, difference

VARIANTS: Final = all_variants()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_the_answer_is_the_same(variant: Variant) -> None:
    expected = by_onnxruntime(variant.model, variant.inputs)
    simple = simplified(variant.model)
    assert simple.opset_import[0].version == 21
    assert difference(by_onnxruntime(simple, variant.inputs), expected) == ""
