"""Runs `maskrcnn.cli.inspect_data` from a checkout; installed, the same is the command maskrcnn-inspect."""

from maskrcnn.cli import inspect_data

if __name__ == "__main__":
    inspect_data()
