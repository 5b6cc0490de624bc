# SPDX-License-Identifier: Apache-2.0
"""Errors of the compilation of a model."""

from __future__ import annotations

from runtime.host.errors import PlatformError


class ModelError(PlatformError):
    """Model that is invalid, or that has a part which cannot be compiled."""
