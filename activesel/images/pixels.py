"""From what a file holds to 8-bit RGB, by the rules that the package's docstring gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from activesel.images.files import CannotDecode, first_line, format_of, load_pixels, pillow_errors

if TYPE_CHECKING:
    from PIL import Image

Rgb = npt.NDArray[np.uint8]  # (h, w, 3)
Pixels = npt.NDArray[np.uint8]  # (h, w, 1) grey or (h, w, 3) colour

_BITS_PER_SAMPLE = 258  # a TIFF tag
_DEPTHS = (8, 10, 12, 14, 16)  # bits per sample that cameras have


def to_pixels(image: Image.Image, content: bytes, at_least_px: int | None) -> Pixels:
    """Return one channel for what OpenCV decodes as grey, half the time of three, else three."""
    kind = format_of(content)
    if _is_deep(image, kind, content):
        return _deep_to_rgb(image, content)
    if kind != "TIFF" and image.mode in ("L", "RGB"):
        shrink = _jpeg_shrink(image.size, at_least_px) if kind == "JPEG" else 1
        pixels = _decode_with_opencv(content, shrink, grey=image.mode == "L" and kind in ("JPEG", "PNG"))
        if pixels is not None:
            return pixels
    load_pixels(image)  # all the rest, and what OpenCV refused: Pillow takes more variants and says what is wrong
    return _flatten(image)


def widen(pixels: Pixels) -> Rgb:
    """Return grey as three equal channels, colour as it is."""
    import cv2

    return pixels if pixels.shape[2] == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)


def _is_deep(image: Image.Image, kind: str, content: bytes) -> bool:
    """Tell whether a sample has more than 8 bits; Pillow's mode does not say so for colour."""
    if image.mode.startswith(("I", "F")):
        return True
    if kind == "PNG":
        return content[24] == 16
    if kind == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,)), default=1) > 8
    return False


def _jpeg_shrink(size: tuple[int, int], at_least_px: int | None) -> int:
    """Return the largest of 1, 2, 4, 8 that leaves the short side ``at_least_px``."""
    if at_least_px is None:
        return 1
    return next((by for by in (8, 4, 2) if min(size) // by >= at_least_px), 1)


def _decode_with_opencv(content: bytes, shrink: int, *, grey: bool) -> Pixels | None:
    import cv2

    kind = "GRAYSCALE" if grey else "COLOR"
    name = f"IMREAD_{kind}" if shrink == 1 else f"IMREAD_REDUCED_{kind}_{shrink}"
    decoded = _imdecode(content, getattr(cv2, name) | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    return decoded[:, :, None] if grey else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)


def _imdecode(content: bytes, flags: int) -> npt.NDArray[Any] | None:
    import cv2

    try:
        decoded: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # its own limit of pixels, a layout it cannot hold
        return None
    return decoded


def _flatten(image: Image.Image) -> Rgb:
    """Return 8-bit RGB of a decoded 8-bit Pillow image, alpha over black."""
    from PIL import Image

    try:
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
            rgba = image.convert("RGBA")
            flat = Image.new("RGB", image.size)
            flat.paste(rgba, mask=rgba.getchannel("A"))
            return np.array(flat)
        return np.array(image.convert("RGB"))
    except pillow_errors() as error:
        raise CannotDecode("unreadable", first_line(error)) from None


def _deep_to_rgb(image: Image.Image, content: bytes) -> Rgb:
    import cv2

    samples = _imdecode(content, cv2.IMREAD_UNCHANGED)
    if samples is None:  # OpenCV knows fewer layouts; what Pillow can hold whole is a single channel
        load_pixels(image)
        samples = np.asarray(image)
    elif samples.ndim == 3 and samples.shape[2] >= 3:
        samples = samples[..., [2, 1, 0, *range(3, samples.shape[2])]]  # OpenCV's order is blue, green, red
    scaled = _scale_to_8_bit(samples if samples.ndim == 3 else samples[..., None])  # (h, w, channels) float32 0..255
    n_channels = scaled.shape[2]
    if n_channels in (2, 4):
        scaled = scaled[..., :-1] * (scaled[..., -1:] / np.float32(255))
    if scaled.shape[2] not in (1, 3):
        raise CannotDecode("unreadable", f"{n_channels} channels")
    rounded = np.rint(scaled).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(rounded, (*rounded.shape[:2], 3)))


def _scale_to_8_bit(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Map samples to 0..255, each image by its own depth or range; NaN and infinities become the lowest value."""
    if samples.dtype == np.uint8:
        return samples.astype(np.float32)
    if samples.dtype == np.uint16:
        depth = next(bits for bits in _DEPTHS if int(samples.max()) < 1 << bits)
        return samples.astype(np.float32) * np.float32(255 / ((1 << depth) - 1))
    values = samples.astype(np.float64)
    finite = np.isfinite(values)
    low, high = min(0.0, values.min(where=finite, initial=0)), max(1.0, values.max(where=finite, initial=1))
    values = np.where(finite, values, low)
    return np.asarray((values - low) * (255 / (high - low)), dtype=np.float32)
