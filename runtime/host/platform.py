# SPDX-License-Identifier: Apache-2.0
"""The place from which the microtvm_api_server.py of older platforms imports Platform. New: handler.py."""

from __future__ import annotations

from runtime.host.project.platform import Platform

__all__ = ["Platform"]
