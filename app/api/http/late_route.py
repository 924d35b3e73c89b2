"""Routes that learn what their endpoints take when the first request for them comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import compile_path

from app.running.importing import unused_hidden


class LateRoute(APIRoute):
    """FastAPI analyses the parameters of an endpoint, and makes pydantic's types of them, when the
    route is made: for all 225 that is 0.25 s of each start and 6 MB. Here it is done when something
    is asked for that comes of it (1.2 ms, once); what tells whether a request is for this route is
    there before.

    Its first use may be the first to find what is wrong with an endpoint, so a test uses each
    (tests/unit/test_late_routes.py).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}
        self._analyse: Callable[[], None] | None = partial(
            super().__init__, path, endpoint, **options
        )

    def __getattr__(self, name: str) -> Any:
        """Called for what isn't there."""
        analyse, self._analyse = self.__dict__.get("_analyse"), None
        if analyse is None:
            raise AttributeError(f"{type(self).__name__} has no {name}", name=name, obj=self)
        try:
            with unused_hidden():
                analyse()
        except Exception:
            self._analyse = analyse  # the next request is to hear the same
            raise
        return getattr(self, name)
