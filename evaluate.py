"""Runs `maskrcnn.cli.evaluate` from a checkout; installed, the same is the command maskrcnn-evaluate."""

from maskrcnn.cli import evaluate

if __name__ == "__main__":
    evaluate()
