"""Runs `maskrcnn.cli.search` from a checkout; installed, the same is the command maskrcnn-search."""

from maskrcnn.cli import search

if __name__ == "__main__":
    search()
