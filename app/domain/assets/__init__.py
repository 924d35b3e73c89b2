"""Pictures of mails: which addresses are Notion's, what a picture is, and how it is kept. Pure."""
