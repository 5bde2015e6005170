"""Writes test/fixtures/images: small pictures in every accepted form and, beside each, the RGB
bytes that OpenCV's colour decode gives (cv2.imread, IMREAD_COLOR), an oracle that shares no code
with the package. The picture is new, drawn here.

pip install pillow==12.3.0 opencv-python-headless==5.0.0.93 numpy && python scripts/make/make-image-fixtures.py
"""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

OUT = Path(__file__).parents[2] / "test/fixtures/images"
W, H = 37, 22  # odd, so that chroma blocks and 1-bit rows end inside the picture


def picture() -> np.ndarray:
    """Smooth colours with a bright corner, so that no two orientations look alike. [H, W, 3] uint8"""
    y, x = np.mgrid[0:H, 0:W]
    rgb = np.stack([40 + 5 * x, 30 + 8 * y, 200 - 3 * x - 2 * y], -1)
    rgb[:7, :9] = (250, 240, 20)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    rgb = picture()
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    alpha = Image.fromarray((np.arange(H * W, dtype=np.uint32).reshape(H, W) * 7 % 256).astype(np.uint8))
    rgba = image.copy()
    rgba.putalpha(alpha)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(OUT / f"exif-{orientation}.jpg", quality=92, exif=exif)
    image.save(OUT / "progressive-420.jpg", quality=85, subsampling=2, progressive=True)
    grey.save(OUT / "grey.jpg", quality=90)
    image.save(OUT / "rgb.png")
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    image.save(OUT / "rotated-colours-profile.png", icc_profile=swap_primaries(srgb))
    rgba.save(OUT / "alpha.png")
    Image.merge("LA", (grey, alpha)).save(OUT / "grey-alpha.png")
    grey.save(OUT / "grey.png")
    grey.point(lambda v: 255 * (v > 110)).convert("1").save(OUT / "one-bit.png")
    image.quantize(13).save(OUT / "palette.png", bits=4)
    image.quantize(13).save(OUT / "palette-transparent.png", transparency=bytes(range(0, 130, 10)))
    image.quantize(31).save(OUT / "palette.gif")
    image.save(OUT / "two-frames.gif", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)])
    image.save(OUT / "lossless.webp", lossless=True)
    rgba.save(OUT / "alpha.webp", lossless=True, exact=True)
    image.save(OUT / "rgb.tif", compression="tiff_lzw")
    # Every low byte differs from its high byte, which tells v >> 8 from a rounded v / 257.
    deep = rgb.astype(np.uint16) * 256 + (255 - rgb)
    cv2.imwrite(str(OUT / "rgb-16.png"), deep[:, :, ::-1])
    cv2.imwrite(str(OUT / "grey-16.png"), deep[:, :, 1])
    cv2.imwrite(str(OUT / "rgb-16.tif"), deep[:, :, ::-1])
    image.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
    image.save(OUT / "rgb.avif", quality=100, subsampling="4:4:4")

    sizes = {}
    for path in sorted(OUT.iterdir()):
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:  # a wheel without the AVIF decoder
            bgr = np.asarray(Image.open(path).convert("RGB"))[:, :, ::-1]
            print(path.name, "expected by Pillow")
        path.with_name(path.name + ".rgb").write_bytes(bgr[:, :, ::-1].tobytes())
        sizes[path.name] = {"height": bgr.shape[0], "width": bgr.shape[1]}
    (OUT / "manifest.json").write_text(json.dumps(sizes, indent=1) + "\n")


def swap_primaries(icc: bytearray) -> bytes:
    """An RGB profile whose red and blue primaries are exchanged: applying it cannot be overlooked."""
    for i in range(128 + 4, 128 + 4 + 12 * int.from_bytes(icc[128:132], "big"), 12):
        name = bytes(icc[i : i + 4])
        if name in (b"rXYZ", b"bXYZ"):
            icc[i : i + 4] = b"bXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(icc)


if __name__ == "__main__":
    main()
