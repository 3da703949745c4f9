"""Tongluo: a gateway for public warnings. CAP goes in, every channel carries it, coverage per region comes out."""

__version__ = "0.1.0"
