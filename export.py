"""Runs `maskrcnn.cli.export` from a checkout; installed, the same is the command maskrcnn-export."""

from maskrcnn.cli import export

if __name__ == "__main__":
    export()
