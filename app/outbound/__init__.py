"""Requests that go out: to whom, and how much of an answer is read."""
