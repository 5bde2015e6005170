"""Writes test/fixtures/polygon-masks.json: what pycocotools fills of seeded polygons.

    python -m venv env && env/bin/pip install pycocotools==2.0.11 && env/bin/python scripts/make/make-polygon-masks.py

The polygons come from a generator that test/ts/masks/coco-rle.ts has as well; the file holds the first masks and a
digest of all.
"""

import hashlib
import json
import pathlib

from pycocotools import mask as coco

SEED, CASES, KEPT = 20240517, 6000, 120


def generator(seed):
    """mulberry32: whole numbers below `n`."""
    state = seed

    def below(n):
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t ^= (t + ((t ^ (t >> 7)) * (t | 61))) & 0xFFFFFFFF
        return (t ^ (t >> 14)) % n

    return below


def case(below):
    """width, height and flat polygons: inside, outside, on pixels' sides, on fifths, degenerate."""
    width, height = 1 + below(40), 1 + below(40)
    kind = below(6)
    reach, grid = [(0, 100), (20, 100), (3, 1), (5, 5), (3, 2), (3000, 100)][kind]
    polygons = []
    for _ in range(1 + below(3)):
        points = []
        for i in range(3 + below(7)):
            if kind == 4 and i > 0 and below(2) == 0:
                points += points[2 * below(i):][:2]
                continue
            points.append((below((width + 2 * reach) * grid + 1) - reach * grid) / grid)
            points.append((below((height + 2 * reach) * grid + 1) - reach * grid) / grid)
        polygons.append(points)
    return width, height, polygons


below = generator(SEED)
digest = hashlib.sha256()
kept = []
for _ in range(CASES):
    width, height, polygons = case(below)
    merged = coco.merge(coco.frPyObjects(polygons, height, width))
    counts = merged["counts"].decode()
    digest.update(f"{width} {height} {counts}\n".encode())
    if len(kept) < KEPT:
        kept.append(counts)

path = pathlib.Path(__file__).parents[2] / "test/fixtures/polygon-masks.json"
fixture = {"seed": SEED, "cases": CASES, "sha256": digest.hexdigest(), "first": kept}
path.write_text(json.dumps(fixture, indent=0) + "\n")
print(f"{path}: {CASES} polygons")
