"""Measurements. `make bench` runs `python -m bench`; every figure it prints was measured in that run, on that machine."""
