"""The image graph: decode → turn upright → crop → resize → normalise, the same everywhere."""

from collections.abc import Sequence

import tensorflow as tf

from components.transform.orientation import has_no_metadata, orientations, turn_upright


def decode_and_resize(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes JPEG or PNG files, turns them upright, and resizes them without distortion.

    Of an image with another aspect ratio than `height`:`width` the largest centred part with that
    ratio is taken.

    Args:
      encoded: string [batch].
      height: Pixels.
      width: Pixels.

    Returns:
      float32 [batch, height, width, 3], 0..255; grey images have three equal channels.
    """
    return tf.cond(
        tf.reduce_all(has_no_metadata(encoded)),
        lambda: resize_as_stored(encoded, height, width),
        lambda: _resize_upright(encoded, height, width),
    )


def resize_as_stored(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """As `decode_and_resize`, of files without a tag."""
    return tf.map_fn(
        lambda image: _fit(decode(image), height, width),
        encoded,
        fn_output_signature=tf.TensorSpec([height, width, 3], tf.float32),
    )


# Traced once. Not inlined, so that batches without metadata pay nothing for its operations.
@tf.function(autograph=False, experimental_attributes={"_noinline": True})
def _resize_upright(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    return tf.map_fn(
        lambda image: _fit(turn_upright(decode(image[0]), image[1]), height, width),
        (encoded, orientations(encoded)),
        fn_output_signature=tf.TensorSpec([height, width, 3], tf.float32),
    )


def _fit(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """uint8 [h, w, 3] → float32 [height, width, 3]."""
    image = crop_to_aspect_ratio(image, height, width)
    image = tf.cond(
        tf.reduce_all(tf.equal(tf.shape(image)[:2], [height, width])),
        lambda: tf.cast(image, tf.float32),  # what resizing would give, at twice the speed
        lambda: tf.image.resize(image, [height, width], antialias=True),
    )
    return tf.ensure_shape(image, [height, width, 3])


def crop_to_aspect_ratio(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The largest centred part of `image` [h, w, 3] whose sides are as `height` to `width`."""
    image_height, image_width = tf.shape(image)[0], tf.shape(image)[1]
    crop_height = tf.maximum(1, tf.minimum(image_height, image_width * height // width))
    crop_width = tf.maximum(1, tf.minimum(image_width, image_height * width // height))
    top, left = (image_height - crop_height) // 2, (image_width - crop_width) // 2
    return image[top : top + crop_height, left : left + crop_width]


def decode(image: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG or PNG file, string [] → uint8 [h, w, 3], not turned upright."""
    return tf.io.decode_image(image, channels=3, expand_animations=False)


def normalize(pixels: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Shifts and scales `pixels` [..., 3], 0..255, to mean 0 and standard deviation 1 a channel."""
    # A channel that never varies has stddev 0; the floor of one grey level keeps it finite.
    return (pixels - mean) / tf.maximum(stddev, 1.0)


def denormalize(pixels: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """Takes back what `normalize` did."""
    return pixels * tf.maximum(stddev, 1.0) + mean


def decodes(images: Sequence[bytes]) -> bool:
    """Whether all of the encoded `images` decode."""
    try:
        _decoded_sizes(tf.constant(images, tf.string))
    except tf.errors.InvalidArgumentError:
        return False
    return True


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def _decoded_sizes(images: tf.Tensor) -> tf.Tensor:
    """The shapes, int32 [batch, 3], of `images` once decoded."""
    # An image may take 100 MB: no more than a few at a time.
    return tf.map_fn(
        lambda image: tf.shape(decode(image)),
        images,
        fn_output_signature=tf.TensorSpec([3], tf.int32),
        parallel_iterations=4,
    )
