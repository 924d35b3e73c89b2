"""The command line: each command calls a service and prints plain lines.

Errors go to stderr in one line with the remedy; the exit code is then 1 (2: wrong usage). What a
command needs is imported when it runs: `--help` and a typing error are answered at once.
"""
