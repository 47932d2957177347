"""Runs `maskrcnn.cli.predict` from a checkout; installed, the same is the command maskrcnn-predict."""

from maskrcnn.cli import predict

if __name__ == "__main__":
    predict()
