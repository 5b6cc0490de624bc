# SPDX-License-Identifier: Apache-2.0
"""Single operators of PyTorch: each is right in the compiled C, or refused by its name."""

from __future__ import annotations

import warnings
from typing import Final, Mapping

import pytest
import torch

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.importing import import_program
from tests.compile.torch.operator_cases import all_cases
from tests.compile.torch.running import error_of, exported

LARGEST_ERROR: Final = 1e-4  # as a part of the largest output

REFUSED: Final[Mapping[str, str]] = {
    "signbit": "aten.signbit",
    "copysign": "aten.copysign",
    "copysign_broadcast": "aten.copysign",
    "bitwise_shift": "shift",
    "median": "aten.median",
    "cummax": "aten.cummax",
    "logcumsumexp": "aten.logcumsumexp",
    "topk": "aten.topk",
    "sort": "aten.sort",
    "argsort": "aten.sort",
    "cdist": "aten._cdist_forward",
    "max_pool2d_indices": "aten.max_pool2d_with_indices",
    "upsample_antialias": "aten._upsample_bilinear2d_aa",
    "fold": "aten.index_put",
    "index_mask": "aten.index.Tensor",
    "embedding_bag": "aten._embedding_bag",
    "as_strided": "aten.as_strided",
    "complex": "aten.view_as_complex",
    "fft": "aten._fft_r2c",
    "nonzero": "aten.nonzero",
    "unique": "aten._unique2",
    "rand": "aten.rand",
    "randn_like": "aten.randn_like",
    "dropout_training": "aten.native_dropout",
    "bernoulli": "aten.rand",
    "float64": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "bilinear": "aten._trilinear",
    "conv_transpose3d": "aten.convolution",
    "inverse": "aten.linalg_inv_ex",
}
"""Case -> operator in the message."""

CASES: Final = all_cases()


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_it_answers_as_pytorch(name: str) -> None:
    function, inputs = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert error_of(exported(function, inputs), inputs) <= LARGEST_ERROR


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name: str) -> None:
    function, inputs = CASES[name]
    with pytest.raises(ModelError) as caught:
        import_program(exported(function, inputs))
    assert REFUSED[name] in caught.value.what
    assert caught.value.what.endswith(".") and caught.value.next_step.endswith(".")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
