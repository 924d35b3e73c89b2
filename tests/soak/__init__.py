"""Fault-injection runs that prove "never twice, never lost": `make soak`, and a short form."""
