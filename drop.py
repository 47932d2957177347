"""Runs `maskrcnn.cli.drop` from a checkout; installed, the same is the command maskrcnn-drop."""

from maskrcnn.cli import drop

if __name__ == "__main__":
    drop()
