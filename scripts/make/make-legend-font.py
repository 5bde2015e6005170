"""Writes assets/legend-font.json: outlines of Roboto Regular for Basic Latin and Latin-1.

npm pack @fontsource/roboto@5.0.8, unpack it, then
pip install fonttools==4.66.1 && python scripts/make/make-legend-font.py package/files/roboto-latin-400-normal.woff
"""

import json
import sys
from pathlib import Path

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

OUT = Path(__file__).parents[2] / "assets/legend-font.json"
ABOUT = (
    "Roboto Regular 2.137, Copyright 2011 Google Inc., Apache-2.0, from @fontsource/roboto 5.0.8. "
    "Per character: advance width, then the SVG path, in thousandths of the font size, "
    "y downwards from the baseline."
)


def main(font_path: str) -> None:
    font = TTFont(font_path)
    shapes, names = font.getGlyphSet(), font.getBestCmap()
    scale = 1000 / font["head"].unitsPerEm
    glyphs = {}
    for code in [*range(0x20, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]:
        pen = SVGPathPen(shapes, ntos=lambda v: str(round(v)))
        shapes[names[code]].draw(TransformPen(pen, (scale, 0, 0, -scale, 0, 0)))
        advance = round(shapes[names[code]].width * scale)
        glyphs[chr(code)] = f"{advance} {pen.getCommands()}"
    text = json.dumps({"about": ABOUT, "glyphs": glyphs}, ensure_ascii=False, indent=2)
    OUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
