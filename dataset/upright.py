"""Images as viewers show them: upright, by the orientation that EXIF data tell.

Of these the orientation alone is read: Pillow's own `exif_transpose` writes the others anew, and
fails where a camera has spoilt one of them.
"""

from PIL import Image
from PIL.ExifTags import Base

# EXIF orientation → how the image becomes upright; 1 is upright.
# https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E, 4.6.5.1.6
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # orientations in which width and height are exchanged


def upright(image: Image.Image) -> Image.Image:
    """A decoded image as viewers show it: turned or mirrored as its EXIF orientation tells."""
    method = UPRIGHT.get(orientation_of(image))
    return image if method is None else image.transpose(method)


def orientation_of(image: Image.Image | bytes) -> int:
    """The orientation of an opened image, or in an EXIF segment; 1 if it is damaged or absent."""
    try:
        if isinstance(image, bytes):
            exif = Image.Exif()
            exif.load(image)
        else:
            exif = image.getexif()
        found = exif.get(Base.Orientation)
    except Exception:  # damaged EXIF data raise errors of several kinds; the image is as good
        return 1
    return found if found in UPRIGHT else 1
