"""The negative controls still break what they name: `python -m tests.soak.controls` runs them."""

from __future__ import annotations

import pytest

from tests.soak.controls import CONTROLS, TREE, Control


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_what_a_control_replaces_is_there_once(control: Control) -> None:
    for edit in control.edits:
        assert (TREE / edit.file).read_text("utf-8").count(edit.old) == 1, edit
