"""The owner's Notion database as the place where mailouts are written, released and watched."""
