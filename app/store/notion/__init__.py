"""The rows of the owner's Notion database."""
