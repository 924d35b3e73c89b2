"""What `serve` imports before it starts its processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc, importlib, sys
from app.running.importing import UNUSED, importing, models_made_late

with importing():
    from app.processes import server
    print(*(name for name in ("fastapi", "uvicorn") if name in sys.modules))
with importing(), models_made_late():
    import app.main, app.processes.http

print(*(name for name in (*UNUSED, "hpack", "pygal", "pygments") if name in sys.modules))
print(gc.isenabled(), gc.get_freeze_count() > 100_000)

# Supabase's client asks for HTTP/2, and help or another library may have use for the others.
import httpcore, httpx
with httpx.Client(http2=True, trust_env=False):
    from httpcore._async.http2 import AsyncHTTP2Connection
for name in UNUSED:
    importlib.import_module(name)
"""


def test_only_what_is_used_is_imported_and_the_rest_can_be_later() -> None:
    assert _run(PROGRAM) == ["", "", "True True"]


LATE = """
from collections.abc import Iterator
from app.running.importing import importing, models_made_late

with importing(), models_made_late():
    import app.main

from pydantic import BaseModel

def models(above: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in above.__subclasses__():
        yield model
        yield from models(model)

late = {model for model in models(BaseModel) if not model.__pydantic_complete__}
print(len(late) > 50, "defer_build" in BaseModel.model_config)
print(*(model for model in late if not model.model_rebuild()))

from app.api.hooks.bodies import NewHook
from app.domain.given.bodies import read_body
from app.errors import InvalidRequest

try:
    read_body(NewHook, {})
except InvalidRequest as error:
    print("url" in error.detail)
"""


@pytest.mark.short
def test_what_a_model_made_late_takes_is_known_when_it_is_used() -> None:
    assert _run(LATE) == ["True False", "", "True"]


def _run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
