"""Runs `maskrcnn.cli.train` from a checkout; installed, the same is the command maskrcnn-train."""

from maskrcnn.cli import train

if __name__ == "__main__":
    train()
