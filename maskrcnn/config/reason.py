"""What an error says to a user."""

import errno
import re

from maskrcnn.config.printable import printable


def reason(error: Exception) -> str:
    """The sentence of an error, without what is for programmers and what is for terminals."""
    return printable(_told(error))


def _told(error: Exception) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{error.filename} cannot be a folder: a file of that name, or above it, is in the way. Choose another"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"a disk is full{f', for {error.filename}' if error.filename else ''}: make room ({error.strerror})"
    if isinstance(error, OSError) and error.errno == errno.ENOLCK:  # of NFS without its lock service
        return (
            f"a file system keeps no locks ({error.strerror}), which keep two processes from one folder: put the run, "
            "or the data that is to be drawn, on another"
        )
    # torch hands an error of a data worker on with the worker's traceback before it.
    worker = re.match(r"Caught \w+ in DataLoader worker.*\n\w+: (.*)", str(error), re.DOTALL)
    return worker[1].strip() if worker else str(error)
