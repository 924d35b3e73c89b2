"""What a workspace holds, and what Notion takes and answers of it. No HTTP."""
