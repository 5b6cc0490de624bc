# SPDX-License-Identifier: Apache-2.0
"""What the tests of API servers share."""

from __future__ import annotations

import pytest

from tools.interpreters import SUPPORTED, find_python


@pytest.fixture(params=SUPPORTED)
def python(request: pytest.FixtureRequest) -> str:
    """Each interpreter that TVM's users have; skips those that this machine has not."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"CPython {request.param} is not installed")
    return found
