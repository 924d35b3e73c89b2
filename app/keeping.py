"""How the service keeps pictures, in the place that ASSETS_STORE names: wiring."""

from __future__ import annotations

from app.adapters.assets.fetch import PictureFetcher
from app.adapters.assets.supabase_storage import SupabaseShelf
from app.adapters.aws.s3 import S3Shelf
from app.ports import PictureShelf
from app.services.assets.keep import KeepPictures
from app.settings import Settings
from app.store import Store


def shelf_at(settings: Settings, place: str) -> PictureShelf | None:
    """What keeps pictures in a place, as ASSETS_STORE has it; None: the database does.

    Raises ShelfRefused when settings are missing for it.
    """
    scheme, _, rest = place.partition("://")
    if scheme == "s3":
        return S3Shelf(settings, *rest.partition("/")[::2])
    if scheme == "supabase":
        return SupabaseShelf(settings, rest)
    return None


def keep_pictures(store: Store, settings: Settings) -> KeepPictures:
    """What keeps the pictures of mails."""
    return KeepPictures(
        store,
        settings,
        PictureFetcher(settings.notion_api_url),
        shelf_at(settings, settings.assets_store),
    )
