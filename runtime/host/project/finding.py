# SPDX-License-Identifier: Apache-2.0
"""Result of a rule about model archives."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """A problem of a model archive.

    Attributes:
        what: Problem, as the predicate of a sentence about the archive, without a full stop.
        next_step: An imperative sentence.
    """

    what: str
    next_step: str
