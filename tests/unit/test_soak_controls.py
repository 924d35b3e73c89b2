"""The negative controls of the soak patch the code by its text: each patch finds its place."""

from __future__ import annotations

import pytest

from tests.soak.controls import CONTROLS, TREE, Control


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_patch_finds_its_place_once(control: Control) -> None:
    assert [edit.file for edit in control.edits if edit.places(TREE) != 1] == []
