"""Read image files that nobody has vouched for: hash, check, decode to RGB, shrink. Which files is others' work.

Rules that hold for every function here:

* Only PNG, JPEG, BMP, WebP and TIFF, known by their first bytes, whatever the file is called.
* The size in the header is compared with the limit before any pixel is decoded.
* Pixels are those stored in the file: the EXIF orientation is ignored, so that masks and boxes keep fitting.
* A file with several pages or frames is its first one.
* Grey becomes three equal channels, a palette its colours, alpha is composited over black.
* 16-bit samples are scaled by the smallest of 8, 10, 12, 14 or 16 bits that holds the image's largest sample: a 12-bit
  camera in a 16-bit file is not black. Each image has its own scale: a very dark 12-bit image may be taken for 10-bit.
* Floating-point and 32-bit samples: 0..1 becomes 0..255; values beyond 0 or 1 widen that range to the image's extremes.
"""

from activesel.images.files import IMAGE_SUFFIXES
from activesel.images.images import (
    Box,
    CheckedImage,
    Refused,
    check_image,
    content_id,
    crop_jpeg,
    decode_content,
    decode_pixels,
    decode_rgb,
    thumbnail_jpeg,
    view_image,
)
from activesel.images.pixels import widen

__all__ = [
    "IMAGE_SUFFIXES",
    "Box",
    "CheckedImage",
    "Refused",
    "check_image",
    "content_id",
    "crop_jpeg",
    "decode_content",
    "decode_pixels",
    "decode_rgb",
    "thumbnail_jpeg",
    "view_image",
    "widen",
]
