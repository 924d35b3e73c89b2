"""A local Amazon SES v2 and SNS on one port, for the demo, the tests and the benchmarks.

It accepts mail as strictly as SES does, shows what SES would have sent, posts signed SNS
messages about it and fails on command. No mail leaves the machine.
"""
