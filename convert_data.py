"""Runs `maskrcnn.cli.convert` from a checkout; installed, the same is the command maskrcnn-convert."""

from maskrcnn.cli import convert

if __name__ == "__main__":
    convert()
