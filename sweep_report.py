"""Runs `maskrcnn.cli.sweep_report` from a checkout; installed, the same is the command maskrcnn-sweep-report."""

from maskrcnn.cli import sweep_report

if __name__ == "__main__":
    sweep_report()
