"""Upright images: the orientation in a file's EXIF tag, read and applied in the graph.

A camera stores the pixels as its sensor lies, and in a tag how a viewer has to turn them;
TensorFlow's decoders take no notice of it. The tag is looked for before the pixels: in a JPEG
file's segments, in a PNG file's chunks. What is damaged, or not as the standards have it, counts as
no tag. No file is an error here.

All of a batch is looked at together, since each operation of a graph costs as much as looking at
dozens of files.

EXIF: https://www.cipa.jp/e/std/std-sec.html (DC-008), 4.5 to 4.7. PNG: https://www.w3.org/TR/png-3/
"""

import tensorflow as tf

UPRIGHT = 1  # EXIF numbers the orientations 1 to 8
# By that number: the axes' order, and whether rows and columns are then reversed.
AXES = ([0, 1, 2],) * 5 + ([1, 0, 2],) * 4
REVERSED = [[number in (3, 4, 7, 8), number in (2, 3, 6, 7)] for number in range(9)]

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"

# How most files without metadata begin: places and their bytes. JFIF's segment of 16 bytes, then a
# quantisation table; the chunk IHDR, then the first of pixels.
PLAIN_JPEG = (2, 3, 4, 5, 20, 21), b"\xff\xe0\x00\x10\xff\xdb"
PLAIN_PNG = (1, 2, 3, 37, 38, 39, 40), b"PNGIDAT"
PLAIN_BYTES = 41

MAX_SEGMENTS = 64  # or chunks that are looked at: a file may have a million empty ones
HEADER_BYTES = 10  # marker, length, `Exif\0\0`; or length, kind, two bytes of the chunk
# By the header's bytes: what they count for in the length, of a segment and of a chunk.
LENGTH = [[0, 2**24], [0, 2**16], [2**8, 2**8], [1, 1]] + [[0, 0]] * 6

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
    """Tells files that begin as most without a tag do, at the least cost.

    Args:
      encoded: string [batch], image files.

    Returns:
      bool [batch].
    """
    start = _bytes(tf.strings.substr(encoded, 0, PLAIN_BYTES), PLAIN_BYTES)
    is_jpeg, is_png = (
        tf.reduce_all(tf.gather(start, places, axis=1) == list(text), axis=1)
        for places, text in (PLAIN_JPEG, PLAIN_PNG)
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
    padded = tf.strings.join([exif, bytes(8 + MAX_ENTRIES * ENTRY_BYTES)])
    order = tf.strings.substr(padded, 0, 4)
    is_little = order == LITTLE_ENDIAN

    def number(place: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        digits = tf.strings.substr(padded, place, tf.fill(tf.shape(size), dtype.size))
        little, big = (tf.io.decode_raw(digits, dtype, end, dtype.size) for end in (True, False))
        return tf.cast(tf.where(is_little, little[:, 0], big[:, 0]), tf.int32)

    directory = number(tf.fill(tf.shape(size), 4), tf.int32)
    is_there = (is_little | (order == BIG_ENDIAN)) & (directory > 0) & (directory < size)
    directory = tf.where(is_there, directory, size)
    whole = (size - directory - 2) // ENTRY_BYTES
    is_counted = tf.range(MAX_ENTRIES) < tf.minimum(number(directory, tf.uint16), whole)[:, None]
    table_bytes = MAX_ENTRIES * ENTRY_BYTES
    table = tf.strings.substr(padded, directory + 2, tf.fill(tf.shape(size), table_bytes))
    entries = tf.reshape(_bytes(table, table_bytes), [-1, MAX_ENTRIES, ENTRY_BYTES])
    # Of several tags the greatest, which is as good as any.
    return tf.reduce_max(tf.where(is_counted, _tag_values(entries), UPRIGHT), axis=1)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image as a viewer does.

    Args:
      image: [height, width, channels].
      orientation: int32 [], 1 to 8.

    Returns:
      [height, width, channels], from 5 on [width, height, channels].
    """

    def turn() -> tf.Tensor:
        turned = tf.transpose(image, tf.gather(AXES, orientation))
        return tf.reverse(turned, tf.where(tf.gather(REVERSED, orientation))[:, 0])

    turned = tf.cond(orientation == UPRIGHT, lambda: image, turn)
    return tf.ensure_shape(turned, [None, None, image.shape[2]])


def _tag_values(entries: tf.Tensor) -> tf.Tensor:
    """Of a directory's entries, uint8 [..., ENTRY_BYTES]: int32 [...]; `UPRIGHT` of other tags."""
    tags = [entry.split() for entry in TAG_ENTRIES]
    matters = [[byte not in ("VV", "..") for byte in tag] for tag in tags]
    wanted = [[int(byte, 16) if byte not in ("VV", "..") else 0 for byte in tag] for tag in tags]
    same = (entries[..., tf.newaxis, :] == wanted) | [[not byte for byte in tag] for tag in matters]
    values = tf.cast(tf.gather(entries, [tag.index("VV") for tag in tags], axis=-1), tf.int32)
    is_tag = tf.reduce_all(same, axis=-1) & (values >= 1) & (values <= 8)
    return tf.reduce_max(tf.where(is_tag, values, UPRIGHT), axis=-1)


def _exif_data(encoded: tf.Tensor) -> tf.Tensor:
    """What EXIF stores in the files, string [batch]; empty where there is nothing."""
    size = tf.strings.length(encoded)
    padded = tf.strings.join([encoded, bytes(HEADER_BYTES)])  # a header can be read anywhere
    is_png = tf.strings.substr(padded, 0, len(PNG_START)) == PNG_START
    is_jpeg = tf.strings.substr(padded, 0, len(JPEG_START)) == JPEG_START
    header_bytes = tf.fill(tf.shape(size), HEADER_BYTES)

    def look(place: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """At `place` is EXIF's segment or chunk, or the last before the pixels, or go on."""
        header = tf.strings.substr(padded, place, header_bytes)
        marker, name = tf.strings.substr(header, 0, 2), tf.strings.substr(header, 4, 6)
        kind = tf.strings.substr(header, 4, 4)
        is_exif = (marker == b"\xff\xe1") & (name == b"Exif\x00\x00")
        found = tf.where(is_png, kind == b"eXIf", is_exif)
        is_last = tf.where(is_png, kind == b"IDAT", marker == b"\xff\xda")
        digits = tf.cast(_bytes(header, HEADER_BYTES), tf.int32)
        segment, chunk = tf.unstack(digits @ LENGTH, axis=1)
        length = tf.where(is_png, chunk + 12, segment + 2)
        going = ~(found | is_last) & (length > 0) & (length < size - place)
        return tf.where(going, place + length, place), going, found, length

    place = tf.where(is_png, 8, tf.where(is_jpeg, 2, size))
    nothing = tf.zeros_like(place)
    place, _, found, length = tf.while_loop(
        lambda _place, going, *_: tf.reduce_any(going),
        look,
        (place, is_png | is_jpeg, tf.zeros_like(is_png), nothing),
        maximum_iterations=MAX_SEGMENTS,
    )
    before, around = tf.where(is_png, 8, 10), tf.where(is_png, 12, 10)
    length = tf.where(found, tf.maximum(length - around, 0), 0)
    return tf.strings.substr(padded, place + before, length)


def _bytes(text: tf.Tensor, length: int) -> tf.Tensor:
    """uint8 [batch, length]; 0 behind the end of a shorter string."""
    return tf.io.decode_raw(text, tf.uint8, fixed_length=length)
