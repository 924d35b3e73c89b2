"""A stand-in for Notion: its API, its webhooks, and what a person does in its app.

Made from Notion's documentation and the types of its SDKs (makenotion/notion-sdk-js 5.26), not from
what this program sends: what Notion refuses is refused here in the same words as far as known.
"""
