# SPDX-License-Identifier: Apache-2.0
"""Checks of pages with instructions: a page that misses a file, or names an unchanged one, fails."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.pages import check_places, places_to_add

PAGE: Final = """Parts of a machine.

To add a wheel: a module of wheels/ with a subclass of Wheel, its line in
table.py, and in `families/<family>/boards.json`. To add a wing: see
wings.py.
"""
PLACES: Final = ["wheels/", "table.py", "families/<family>/boards.json"]
ALL: Final = {"host/wheels/round.py", "host/table.py", "families/truck/boards.json"}


def test_places_are_those_of_one_sentence() -> None:
    assert places_to_add("a wheel", PAGE) == PLACES
    assert places_to_add("a wing", PAGE) == ["wings.py"]
    with pytest.raises(AssertionError, match="no sentence 'To add a sail"):
        places_to_add("a sail", PAGE)


def test_every_changed_file_is_named_and_every_place_is_changed() -> None:
    check_places(ALL, PLACES)
    check_places({*ALL, "host/wheels/spokes/thin.py"}, PLACES)
    with pytest.raises(AssertionError, match="the page does not name"):
        check_places({*ALL, "host/other_table.py"}, PLACES)
    with pytest.raises(AssertionError, match="not changed"):
        check_places(ALL - {"host/table.py"}, PLACES)
