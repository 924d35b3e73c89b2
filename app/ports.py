"""What the services need from the outside, shaped by those who use it."""

from __future__ import annotations

from typing import Any, Protocol


class Database(Protocol):
    """A way to reach PostgreSQL: call one of the functions in `migrations/functions/` by name.

    Every function returns one `jsonb` value, so a direct connection and Supabase's API give the
    very same answer, and neither PostgREST's row limit nor type adaptation comes into it.
    """

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Run `function` with JSON-able `arguments` in one transaction; give its JSON value back.

        Arguments are str, int, float, bool, None, or dict/list (passed as jsonb); uuids and
        times as ISO strings.
        Raises DatabaseUnavailable when the database can't be reached (whether the call was
        committed is then unknown), DatabaseError when it refused the call (rolled back).
        """
        ...

    async def check_access(self) -> None:
        """Whether somebody is there who lets us in, told better than by a failed call.

        Raises ConfigurationError when we are refused for good, DatabaseUnavailable.
        """
        ...

    async def close(self) -> None:
        """Give connections back; further calls raise DatabaseUnavailable."""
        ...
