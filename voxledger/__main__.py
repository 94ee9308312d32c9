"""`python -m voxledger` is the command line."""

from voxledger.cli import main

main()
