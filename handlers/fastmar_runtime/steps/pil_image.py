"""fastai's PILImage.create and PILImageBW.create: bytes become pixels, or a picture is refused with its reason."""

from __future__ import annotations

import io
import re
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from fastmar_contract.errors import RecordError
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.pictures import Picture, called
from fastmar_runtime.spec import IMAGE
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, wrong

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "MPO", "DIB", "PPM", "AVIF", "JPEG2000", "TGA", "PCX")
"""What is opened. Pillow knows more, among them formats that start other programs, and icons, which it decodes before
their size can be looked at."""

_KINDS_FIX = "send a JPEG, PNG, GIF, BMP, WebP or TIFF file."
# How a scan of a JPEG begins: marker, length, number of components. Compressed pixels never hold the marker, and what
# phones put behind a picture, such as a video, next to never all of it.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_MOST_SCANS = 100  # programs write about ten; each costs a pass over all pixels
_TILE_SIDES = (322, 323)  # TIFF's tags
_OPENING = threading.Lock()  # warnings are turned into errors for the whole process


@dataclass(frozen=True, slots=True)
class PILImage(PictureStep):
    """A picture's bytes, decoded.

    Attributes:
        mode: ``"RGB"`` or ``"L"``, converted to as fastai does: transparency is dropped, 16 bits are clipped.
        exif_transpose: whether a photo is turned as its camera says; fastai does not.
        max_pixels, max_bytes: larger pictures are refused before they are decoded.
    """

    mode: str
    exif_transpose: bool
    max_pixels: int
    max_bytes: int

    def __call__(self, picture: Picture) -> DecodedPicture:  # type: ignore[override]  # the first step
        """The picture decoded.

        Raises:
            RecordError: it is refused.
        """
        image = self._decode(picture)
        return DecodedPicture(image, Geometry(image.size, image.size, mask_size=picture.mask_size))

    def _decode(self, picture: Picture) -> Any:
        who = called(picture.name)
        if not picture.data:
            raise _refused("empty_picture", f"{who} has no bytes.", "send the whole file.")
        if len(picture.data) > self.max_bytes:
            raise _refused(
                "picture_too_large",
                f"{who} is {len(picture.data):,} bytes long, over the limit of {self.max_bytes:,}.",
                "send a smaller file, or export with a higher limit.",
            )
        image = _open(picture.data, who)
        with image:
            w, h = image.size
            if w * h > self.max_pixels:
                raise _too_many_pixels(who, f"{w} x {h} pixels", f"{self.max_pixels:,}")
            _refuse_bombs(image, picture.data, who, self.max_pixels)
            try:
                return self._converted(image)
            except MemoryError:
                raise
            except Exception as error:  # Pillow's plugins raise what they like on damaged files
                raise _refused(
                    "damaged_picture",
                    f"{who} is damaged or cut short ({' '.join(str(error).split())[:200]}).",
                    "send the whole file; open it in a viewer to see whether it is sound.",
                ) from error

    def _converted(self, image: Any) -> Any:
        image.load()  # OSError where the file ends too early
        if self.exif_transpose:
            image = ImageOps.exif_transpose(image)
        if image.mode == "P":
            # Pillow warns that transparency is lost; the pixels are the same without it.
            image.info.pop("transparency", None)
        return image.convert(self.mode)


def _open(data: bytes, who: str) -> Any:
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(data), formats=_formats())
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _too_many_pixels(who, "enormous", f"{Image.MAX_IMAGE_PIXELS:,}") from error
        except UnidentifiedImageError as error:
            raise _refused(
                "not_a_picture", f"{who} is no picture that can be read ({_start(data)}).", _KINDS_FIX
            ) from error
        except Exception as error:  # Pillow's plugins raise what they like on damaged files
            raise _refused(
                "damaged_picture",
                f"{who} is damaged ({' '.join(str(error).split())[:200]}).",
                "send the whole file; open it in a viewer to see whether it is sound.",
            ) from error


def _refuse_bombs(image: Any, data: bytes, who: str, max_pixels: int) -> None:
    """Small files of few pixels that would still take much memory or time to decode."""
    if image.format == "TIFF":  # tiles are decoded whole, and may be larger than the picture
        sides = [image.tag_v2.get(tag) for tag in _TILE_SIDES]
        if all(isinstance(side, int) for side in sides) and sides[0] * sides[1] > max_pixels:
            raise _too_many_pixels(who, f"made of tiles of {sides[0]} x {sides[1]} pixels", f"{max_pixels:,}")
    elif image.format in ("JPEG", "MPO") and (scans := sum(1 for _ in _SCAN.finditer(data))) > _MOST_SCANS:
        raise _refused(
            "damaged_picture",
            f"{who} is a JPEG of {scans:,} scans, over the limit of {_MOST_SCANS}.",
            "save it again with any program.",
        )


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Those of `_FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _start(data: bytes) -> str:
    return f"{len(data):,} bytes that begin with {data[:12]!r}"


def _too_many_pixels(who: str, size: str, limit: str) -> RecordError:
    return _refused(
        "too_many_pixels",
        f"{who} is {size}, over the limit of {limit} pixels.",
        "send a smaller picture; the model scales it down anyway.",
    )


def _refused(code: str, message: str, fix: str) -> RecordError:
    return RecordError(code, message, fix=fix, field=IMAGE)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> PILImage:
    """Read ``{"mode", "exif_transpose", "max_pixels", "max_bytes"}``; `path` is where it stands, for messages."""
    step = build(PILImage, state, path, ignored=("step",))
    if step.mode not in ("RGB", "L"):
        raise wrong(f"{path}.mode", "RGB or L", step.mode)
    if min(step.max_pixels, step.max_bytes) < 1:
        raise wrong(f"{path}.max_pixels and max_bytes", "over 0", min(step.max_pixels, step.max_bytes))
    return step
