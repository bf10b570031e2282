"""What libjpeg warns of while it decodes a JPEG file.

Pillow and TensorFlow take a file that libjpeg warns of for good: of half a file with an end marker
they make an image whose other half is grey, and neither says which file it was.
"""

import simplejpeg

BEGINNING = b"\xff\xd8"
WITHOUT_GREY = ("CMYK", "YCCK")  # libjpeg's colour spaces that it converts to CMYK alone

# Of these the image is shown whole, or with a flaw that libjpeg cannot place; others are damage.
# https://github.com/libjpeg-turbo/libjpeg-turbo/blob/main/src/jerror.h, the messages JWRN_…
HARMLESS = (
    "extraneous bytes",
    "ICC marker",
    "JFIF revision",
    "Adobe color transform",
    "SOS parameters",
)


def warning_of(data: bytes) -> str:
    """The first of libjpeg's warnings, or its error; empty where it has none.

    An eighth of the size, in grey, is decoded: libjpeg reads all of the data for it, in a fraction
    of the time.

    Args:
        data: A JPEG file.
    """
    try:
        _, _, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        target = "CMYK" if colorspace in WITHOUT_GREY else "GRAY"
        simplejpeg.decode_jpeg(data, target, min_height=1, min_width=1, min_factor=1)
    except ValueError as error:
        return str(error)
    return ""


def is_harmless(warning: str) -> bool:
    """Whether no data are missing or damaged for certain."""
    return any(words in warning for words in HARMLESS)


def damage_of(data: bytes) -> str:
    """What is damaged in an image's file, as libjpeg puts it; empty if it is no JPEG file."""
    warning = warning_of(data) if data.startswith(BEGINNING) else ""
    return "" if is_harmless(warning) else warning
