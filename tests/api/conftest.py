# SPDX-License-Identifier: Apache-2.0
"""Fixtures shared by the tests of API servers."""

from __future__ import annotations

import pytest

from tools.interpreters import SUPPORTED, find_python


@pytest.fixture(params=SUPPORTED)
def python(request: pytest.FixtureRequest) -> str:
    """Return each interpreter that TVM's users may have; skip interpreters that are not installed."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"CPython {request.param} is not installed")
    return found
