"""`python -m pipeline` is `tideline`."""

from pipeline.cli import main

main()
