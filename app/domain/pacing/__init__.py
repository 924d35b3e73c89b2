"""How fast, and how much a day, goes to each mailbox provider. Pure."""
