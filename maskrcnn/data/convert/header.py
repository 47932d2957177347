"""Sizes of pictures from the first bytes of their files, and the files that count as pictures."""

from pathlib import Path

from maskrcnn.data.header import read_sizes

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as viewers and `PictureReader` show it, turned as its EXIF entry says.

    No pixel is decoded. For the same reason, an EXIF entry that a PNG holds after its pixels is not seen.

    Raises:
        ValueError: the file is not a picture; the message names it.
    """
    return read_sizes(path)[0]


def check_size(path: Path, size: tuple[int, int], annotations: Path) -> tuple[int, int]:
    """The height and width that a picture's annotations state, if it has them, turned as its EXIF entry says or not.

    `PictureReader` later takes the orientation that has this size.

    Args:
        path: of the picture; size: height and width in its annotations; annotations: their file, for the message.

    Raises:
        ValueError: the picture has another size, or is none.
    """
    sizes = read_sizes(path)
    if size not in sizes:
        raise ValueError(
            f"{annotations} is for a picture {size[0]} pixels high and {size[1]} wide, but {path} is {sizes[0][0]} x "
            f"{sizes[0][1]}: put the picture that was annotated back, or annotate this one"
        )
    return sizes[sizes.index(size)]  # integers, where JSON has 480.0
