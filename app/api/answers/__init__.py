"""What routes answer as JSON, for `/openapi.json`: which keys there are, and what each may be.

Nothing of this is looked at when a request is answered. The tests compare answers with it
(tests/security/fuzz). An answer may have further keys, so that more can be told later.
"""
