"""Two transactions on one row, stepped by hand: whichever commits first, the end is right.

Each test opens the first transaction, runs the second until it waits for a lock (or finds nothing
to wait for), commits the first, and looks.
"""
