"""Runs `maskrcnn.cli.compare` from a checkout; installed, the same is the command maskrcnn-compare."""

from maskrcnn.cli import compare

if __name__ == "__main__":
    compare()
