"""`python -m gateway` is the command `tongluo`."""

from gateway.cli import main

main()
