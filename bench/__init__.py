"""Side-by-side measurements; `make bench` runs them and writes bench/results.md."""
