"""Imports of subscribers, from the upload to taking them back."""
