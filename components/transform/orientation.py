"""Upright images: the orientation that a file's EXIF tag tells, read and applied in the graph.

A camera stores the pixels as its sensor lies, and in a tag how a viewer has to turn them;
TensorFlow's decoders take no notice of it. The tag is looked for where the standards have it: in
a JPEG file's segments before the tables, in a PNG file's chunks before the pixels. What is damaged,
or not as they say, counts as no tag. No file is an error here.

All of a batch is looked at together, since each operation of a graph costs as much as looking at
dozens of files.

EXIF: https://www.cipa.jp/e/std/std-sec.html (DC-008), 4.5 to 4.7. PNG: https://www.w3.org/TR/png-3/
"""

import tensorflow as tf

UPRIGHT = 1  # EXIF numbers the orientations 1 to 8

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"

# How most files without metadata begin: places and their bytes. JFIF's segment of 16 bytes, then a
# quantisation table; the chunk IHDR, then the first of pixels.
PLAIN_JPEG = (2, 3, 4, 5, 20, 21), b"\xff\xe0\x00\x10\xff\xdb"
PLAIN_PNG = (1, 2, 3, 37, 38, 39, 40), b"PNGIDAT"
PLAIN_BYTES = 41

HEADER_BYTES = 10  # of a segment, with `Exif\0\0`; a chunk's header is shorter
MAX_SEGMENTS = 64  # or chunks that are looked at: a file may have a million empty ones

# EXIF's data are TIFF's: the byte order, the place of a directory, there the number of its entries,
# and the entries.
LITTLE_ENDIAN, BIG_ENDIAN = b"II*\x00", b"MM\x00*"
ENTRY_BYTES = 12
MAX_ENTRIES = 64  # that are looked at: they are sorted, and few tags come before this one
# The tag's entry in either byte order, of type SHORT or LONG; VV is the value, ".." is any byte.
TAG_ENTRIES = (
    "12 01  03 00  01 00 00 00  VV 00 .. ..",
    "12 01  04 00  01 00 00 00  VV 00 00 00",
    "01 12  00 03  00 00 00 01  00 VV .. ..",
    "01 12  00 04  00 00 00 01  00 00 00 VV",
)


def has_no_metadata(encoded: tf.Tensor) -> tf.Tensor:
    """Tells files that surely have no tag, at the least cost.

    Args:
      encoded: string [batch], image files.

    Returns:
      bool [batch].
    """
    start = tf.io.decode_raw(
        tf.strings.substr(encoded, 0, PLAIN_BYTES), tf.uint8, fixed_length=PLAIN_BYTES
    )
    is_jpeg, is_png = (
        _equal(tf.gather(start, places, axis=1), text) for places, text in (PLAIN_JPEG, PLAIN_PNG)
    )
    return is_jpeg | is_png


def orientations(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the tags.

    Args:
      encoded: string [batch], image files.

    Returns:
      int32 [batch], 1 to 8; `UPRIGHT` where there is no tag.
    """
    exif = _exif_data(encoded)
    size = tf.strings.length(exif)
    order = tf.strings.substr(exif, 0, 4)
    is_little = order == LITTLE_ENDIAN

    def number(place: tf.Tensor, digits: int) -> tf.Tensor:
        text = _bytes(exif, place, digits)
        return tf.where(is_little, _big_endian(text[:, ::-1]), _big_endian(text))

    directory = number(tf.fill(tf.shape(size), 4), 4)
    is_there = (is_little | (order == BIG_ENDIAN)) & (directory > 0) & (directory < size)
    directory = tf.where(is_there, directory, size)
    whole = (size - directory - 2) // ENTRY_BYTES
    count = tf.minimum(number(directory, 2), whole)
    entries = _bytes(exif, directory + 2, MAX_ENTRIES * ENTRY_BYTES)
    entries = tf.reshape(entries, [-1, MAX_ENTRIES, ENTRY_BYTES])
    counted = tf.range(MAX_ENTRIES) < count[:, tf.newaxis]
    # Of several tags the greatest, which is as good as any.
    return tf.reduce_max(tf.where(counted, _tag_values(entries), UPRIGHT), axis=1)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image as a viewer does.

    Args:
      image: [height, width, channels].
      orientation: int32 [], 1 to 8.

    Returns:
      [height, width, channels], from 5 on [width, height, channels].
    """

    def turn() -> tf.Tensor:
        is_transposed = tf.cast(orientation >= 5, tf.int32)
        turned = tf.transpose(image, [is_transposed, 1 - is_transposed, 2])
        upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
        mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
        return tf.reverse(turned, tf.where([upside_down, mirrored])[:, 0])

    turned = tf.cond(orientation == UPRIGHT, lambda: image, turn)
    return tf.ensure_shape(turned, [None, None, image.shape[2]])


def _tag_values(entries: tf.Tensor) -> tf.Tensor:
    """Of a directory's entries, uint8 [..., ENTRY_BYTES]: int32 [...]; `UPRIGHT` of other tags."""
    tags = [entry.split() for entry in TAG_ENTRIES]
    matters = [[byte not in ("VV", "..") for byte in tag] for tag in tags]
    wanted = [[int(byte, 16) if byte not in ("VV", "..") else 0 for byte in tag] for tag in tags]
    same = entries[..., tf.newaxis, :] == wanted
    is_tag = tf.reduce_all(same | tf.logical_not(matters), axis=-1)
    values = tf.cast(tf.gather(entries, [tag.index("VV") for tag in tags], axis=-1), tf.int32)
    values = tf.where(is_tag & (values >= 1) & (values <= 8), values, UPRIGHT)
    return tf.reduce_max(values, axis=-1)


def _exif_data(encoded: tf.Tensor) -> tf.Tensor:
    """What EXIF stores in the files, string [batch]; empty where there is nothing."""
    size = tf.strings.length(encoded)
    start = _bytes(encoded, tf.zeros_like(size), len(PNG_START))
    is_png = _equal(start, PNG_START)
    is_jpeg = _equal(start[:, : len(JPEG_START)], JPEG_START)

    def look(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        header = _bytes(encoded, place, HEADER_BYTES)
        (in_segment, segment), (in_chunk, chunk) = _look_at_segment(header), _look_at_chunk(header)
        return tf.where(is_png, in_chunk, in_segment), tf.where(is_png, chunk, segment)

    def step(place: tf.Tensor, going: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found, length = look(place)
        going &= ~found & (length > 0) & (length < size - place)
        return tf.where(going, place + length, place), going

    place, _ = tf.while_loop(
        lambda _, going: tf.reduce_any(going),
        step,
        (tf.where(is_png, 8, tf.where(is_jpeg, 2, size)), is_png | is_jpeg),
        maximum_iterations=MAX_SEGMENTS,
    )
    found, length = look(place)
    before, around = tf.where(is_png, 8, 10), tf.where(is_png, 12, 10)
    length = tf.where(found, tf.maximum(length - around, 0), 0)
    return _part(encoded, place + before, length)


def _look_at_segment(header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether EXIF's data are in a JPEG segment, and its length; 0 where no metadata are."""
    marker = tf.cast(header[:, 1], tf.int32)
    is_comment, is_app = marker == 0xFE, (marker >= 0xE0) & (marker <= 0xEF)
    is_metadata = (header[:, 0] == 0xFF) & (is_app | is_comment)
    length = tf.where(is_metadata, 2 + _big_endian(header[:, 2:4]), 0)
    return _equal(header[:, :2], b"\xff\xe1") & _equal(header[:, 4:], b"Exif\x00\x00"), length


def _look_at_chunk(header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether EXIF's data are in a PNG chunk, and its length; 0 where pixels are."""
    kind = header[:, 4:8]
    length = tf.where(_equal(kind, b"IDAT"), 0, 12 + _big_endian(header[:, :4]))
    return _equal(kind, b"eXIf"), length


def _big_endian(digits: tf.Tensor) -> tf.Tensor:
    """uint8 [batch, digits] → int32 [batch]; too large a number becomes a negative one."""
    weights = [256**power for power in reversed(range(digits.shape[1]))]
    return tf.reduce_sum(tf.cast(digits, tf.int32) * weights, axis=1)


def _part(text: tf.Tensor, place: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """A part of each string; shorter, or empty, where the string ends before."""
    return tf.strings.substr(text, tf.minimum(place, tf.strings.length(text)), length)


def _bytes(text: tf.Tensor, place: tf.Tensor, length: int) -> tf.Tensor:
    """A part of each string, uint8 [batch, length]; 0 where the string ends before."""
    part = _part(text, place, tf.fill(tf.shape(place), length))
    return tf.io.decode_raw(part, tf.uint8, fixed_length=length)


def _equal(given: tf.Tensor, text: bytes) -> tf.Tensor:
    """Whether uint8 [..., n] are the bytes of `text`; bool [...]."""
    return tf.reduce_all(given == list(text), axis=-1)
