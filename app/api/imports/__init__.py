"""Importing subscribers over HTTP."""
