"""A random part of each image, before it is resized: the training of Inception and of most since.

Szegedy et al., "Going Deeper with Convolutions" (2015), section 6.
"""

import tensorflow as tf

from components.transform.image import crop_to_aspect_ratio, decode
from components.transform.orientation import orientations, turn_upright

ASPECT_RATIOS = 3 / 4, 4 / 3  # of a part, width to height, times the network's


def random_crops(
    encoded: tf.Tensor, seed: tf.Tensor, min_area: float, height: int, width: int
) -> tf.Tensor:
    """Decodes JPEG or PNG files, turns them upright, and resizes a random part of each.

    Args:
      encoded: string [batch].
      seed: int32 or int64 [2]; the same seed gives the same parts.
      min_area: Least share of the image's area.
      height: Pixels.
      width: Pixels.

    Returns:
      float32 [batch, height, width, 3], 0..255.
    """
    # Seeds of the images, one each.
    seeds = tf.random.stateless_uniform(
        [tf.shape(encoded)[0], 2], seed, minval=None, maxval=None, dtype=tf.int64
    )

    def crop(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        file, orientation, its_seed = image
        upright = turn_upright(decode(file), orientation)
        part = _random_part(upright, its_seed, min_area, height, width)
        return tf.image.resize(part, [height, width], antialias=True)

    return tf.map_fn(
        crop,
        (encoded, orientations(encoded), seeds),
        fn_output_signature=tf.TensorSpec([height, width, 3], tf.float32),
    )


def _random_part(
    image: tf.Tensor, seed: tf.Tensor, min_area: float, height: int, width: int
) -> tf.Tensor:
    """uint8 [h, w, 3]; what evaluation takes of an image too long for any such part."""
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        tf.zeros([1, 0, 4]),
        seed,
        min_object_covered=0.0,
        aspect_ratio_range=[ratio * width / height for ratio in ASPECT_RATIOS],
        area_range=[min_area, 1.0],
        max_attempts=20,
        use_image_if_no_bounding_boxes=True,
    )
    whole = tf.reduce_all(size[:2] == tf.shape(image)[:2])
    return tf.cond(
        whole,
        lambda: crop_to_aspect_ratio(image, height, width),
        lambda: tf.slice(image, begin, [size[0], size[1], 3]),
    )
