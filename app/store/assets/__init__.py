"""Pictures and PDFs of mails, by the hash of their content."""

from __future__ import annotations

import base64
from typing import Any

from app.domain.assets.kept import Asset, Stored
from app.store.calls import Calls, require


class AssetCalls(Calls):
    async def keep_asset(
        self,
        asset: Asset,
        *,
        source: str,
        recipe: int,
        store: str,
        origin: str | None,
        content: bytes | None,
    ) -> None:
        """source: hash of the file that it was made of, by which recipe. store: as ASSETS_STORE has
        it. origin: where the file came from, without what opens it. content: None where it lies in
        another store, and is there by now."""
        kept = await self._call(
            "keep_asset",
            p_asset={
                "sha256": asset.sha256,
                "media_type": asset.media_type,
                "extension": asset.extension,
                "width": asset.width,
                "height": asset.height,
                "size": asset.size,
                "store": store,
                "origin": origin,
                "content": None if content is None else base64.b64encode(content).decode(),
            },
            p_source={"sha256": source, "recipe": recipe, "note": asset.note},
        )
        if kept is not True:
            raise ValueError("the picture wasn't kept")

    async def find_asset(self, source: str, *, recipe: int, store: str) -> Asset | None:
        """What was made of a file with this hash; None: nothing yet, or by an earlier recipe, or
        for another store."""
        row: dict[str, Any] | None = await self._call(
            "find_asset", p_source=source, p_recipe=recipe, p_store=store
        )
        return None if row is None else Asset(**row)

    async def latest_asset(self, store: str) -> Asset | None:
        """The newest that lies in a store."""
        row: dict[str, Any] | None = await self._call("latest_asset", p_store=store)
        return None if row is None else Asset(**row)

    async def read_asset(self, sha256: str, extension: str) -> Stored | None:
        """None: there is no picture of this name."""
        row: dict[str, Any] | None = await self._call(
            "read_asset", p_sha256=sha256, p_extension=extension
        )
        if row is None:
            return None
        require(row, "media_type", "store", "content")
        content = row["content"]
        return Stored(
            row["media_type"],
            row["store"],
            None if content is None else base64.b64decode(content, validate=True),
        )
