"""Runs `maskrcnn.cli.replay` from a checkout; installed, the same is the command maskrcnn-replay."""

from maskrcnn.cli import replay

if __name__ == "__main__":
    replay()
