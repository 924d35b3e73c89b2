"""Imported, before it forks, by the server that forks.py forks the program's processes from: the
program, and what each process would read from the disk anew."""

from __future__ import annotations

import gc
import importlib

import boto3

import app.cli.main
import app.main
import app.processes.http
import app.processes.server
import app.services.checks.doctor  # noqa: F401
import tests.support.forked_rendering  # noqa: F401
from app.services.rendering.renderer import RENDERER
from tests.support.read_once import read_once

for name in RENDERER.modules:
    importlib.import_module(name)
read_once(setattr)
for service in ("sesv2", "sns"):
    boto3.session.Session().client(service, region_name="us-east-1")

# A look for garbage in a process would write to all that is shared, and so copy it.
gc.collect()
gc.freeze()
