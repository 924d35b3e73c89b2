"""A page's blocks as the body of a mail.

`read_page(notion, page_id)` (services/notion/reading.py) gives a tree; `pictures_of(tree)`,
`files_of(tree)` and `video_pictures_of(tree)` the addresses that KeepPictures (services/assets)
keeps; `document(tree, pictures)` the text for a mailout's `body_markdown` and what is to be said
about it; `canonical(tree, pictures)` JSON by which two readings are compared (`content_hash`,
`differences`). All but the first are pure.
"""

from app.domain.notion.blocks.canonical import Canonical, canonical, content_hash
from app.domain.notion.blocks.differences import differences
from app.domain.notion.blocks.document import Document, document
from app.domain.notion.blocks.tree import Block, Tree, files_of, pictures_of, video_pictures_of

__all__ = [
    "Block",
    "Canonical",
    "Document",
    "Tree",
    "canonical",
    "content_hash",
    "differences",
    "document",
    "files_of",
    "pictures_of",
    "video_pictures_of",
]
