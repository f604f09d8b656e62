"""`python -m vaelib`: the one command line."""
