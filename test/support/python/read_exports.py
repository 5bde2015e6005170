"""Reads a data set as its public readers do, and prints every mask.

python read_exports.py FORMAT FOLDER
-> {"readers": [...], "pictures": {file: {"size": [h, w], "masks": [{"class": name, "counts": [...]}]}}}

counts: run lengths down the columns, outside first. Each function says which reader it is, or whose it follows.
"""
import json
import sys
from pathlib import Path

import numpy as np


def runs(mask):
    """Run lengths down the columns of a boolean mask [H, W], outside first."""
    flat = np.concatenate([[0], np.asarray(mask, dtype=np.int8).flatten(order="F"), [2]])
    ends = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], ends])).tolist()
    return counts


def entry(name, mask):
    return {"class": name, "counts": runs(mask)}


def coco(folder):
    """pycocotools: annToMask() of the annotations; results by loadRes() have to be the same."""
    import contextlib
    import io
    from importlib.metadata import version

    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations/instances_default.json"))
        listed = json.loads((folder / "results.json").read_text())
        results = truth.loadRes(str(folder / "results.json")) if listed else None
    names = {c["id"]: c["name"] for c in truth.loadCats(truth.getCatIds())}
    pictures = {}
    crowds = 0
    for image_id in truth.getImgIds():
        image = truth.loadImgs(image_id)[0]
        masks = []
        anns = truth.loadAnns(truth.getAnnIds(image_id))
        found = results.loadAnns(results.getAnnIds(image_id)) if results else []
        assert len(found) == len(anns), (image_id, len(found), len(anns))
        for ann, result in zip(anns, found):
            mask = truth.annToMask(ann)
            assert np.array_equal(mask, results.annToMask(result)), ann["id"]
            ys, xs = np.nonzero(mask)
            assert ann["area"] == len(xs) == result["area"], ann["id"]
            box = [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
            assert box == ann["bbox"] == list(result["bbox"]), (box, ann["bbox"])
            assert ann["score"] == result["score"] and ann["category_id"] == result["category_id"]
            crowds += ann["iscrowd"]
            assert isinstance(ann["segmentation"], dict) == bool(ann["iscrowd"])
            masks.append(entry(names[ann["category_id"]], mask))
        pictures[image["file_name"]] = {"size": [image["height"], image["width"]], "masks": masks}
    return {"readers": [f"pycocotools {version('pycocotools')}"], "pictures": pictures, "crowds": crowds}


def yolo(folder):
    """Follows Ultralytics: data.yaml, labels beside images, rows of more than six numbers are polygons, shares in
    float32 times the size, cut off to integers, cv2.fillPoly."""
    import cv2
    import yaml

    data = yaml.safe_load((folder / "data.yaml").read_text())
    pictures = {}
    subsets = {}
    for subset in dict.fromkeys([data["train"], data["val"]]):
        images = sorted(p for p in (folder / subset).rglob("*") if p.is_file())
        assert images, subset
        subsets[subset] = len(images)
        for path in images:
            head, tail = str(path).rsplit("/images/", 1)
            label = Path(f"{head}/labels/{tail}".rsplit(".", 1)[0] + ".txt")
            height, width = cv2.imread(str(path)).shape[:2]
            masks = []
            for row in label.read_text().split("\n"):
                values = row.split()
                if not values:
                    continue
                assert len(values) > 6 and len(values) % 2 == 1, row
                shares = np.array(values[1:], dtype=np.float32).reshape(-1, 2)
                assert shares.min() >= 0 and shares.max() <= 1, row
                points = (shares * np.array([width, height], dtype=np.float32)).astype(np.int32)
                mask = np.zeros((height, width), dtype=np.uint8)
                cv2.fillPoly(mask, [points], 1)
                masks.append(entry(data["names"][int(values[0])], mask))
            file = str(path.relative_to(folder / subset))
            pictures[file] = {"size": [height, width], "masks": masks}
    assert data["nc"] == len(data["names"])
    return {"readers": [f"OpenCV {cv2.__version__}, PyYAML {yaml.__version__}"], "pictures": pictures, "subsets": subsets}


def masks(folder):
    """Pillow: the indices of the palette, or 16-bit grey values."""
    import PIL
    from PIL import Image

    names = [line.split(", ")[0] for line in (folder / "classes.txt").read_text().splitlines()]
    pictures = {}
    for path in sorted(p for p in (folder / "images").rglob("*") if p.is_file()):
        file = path.relative_to(folder / "images")
        labels = np.array(Image.open(folder / "labels" / file.with_suffix(".png")))
        found = [entry(names[c], labels == c) for c in np.unique(labels)]
        pictures[str(file)] = {"size": list(labels.shape), "masks": found}
    return {"readers": [f"Pillow {PIL.__version__}"], "pictures": pictures}


def geojson(folder):
    """shapely: valid geometries, whose pixels are those with their centres inside."""
    import shapely

    pictures = {}
    for path in sorted(folder.rglob("*.geojson")):
        collection = json.loads(path.read_text())
        assert collection["type"] == "FeatureCollection"
        width, height = collection["width"], collection["height"]
        found = []
        for feature in collection["features"]:
            shape = shapely.from_geojson(json.dumps(feature["geometry"]))
            assert shape.is_valid, shapely.is_valid_reason(shape)
            properties = feature["properties"]
            assert shape.area == properties["area"]
            assert list(shape.bounds) == properties["box"]
            for part in getattr(shape, "geoms", [shape]):
                assert part.exterior.is_ccw and not any(ring.is_ccw for ring in part.interiors)
            x1, y1, x2, y2 = properties["box"]
            xs, ys = np.meshgrid(np.arange(x1, x2) + 0.5, np.arange(y1, y2) + 0.5)
            shapely.prepare(shape)
            mask = np.zeros((height, width), dtype=bool)
            mask[y1:y2, x1:x2] = shapely.contains_xy(shape, xs, ys)
            found.append(entry(properties["class"], mask))
        pictures[collection["image"]] = {"size": [height, width], "masks": found}
    return {"readers": [f"shapely {shapely.__version__}"], "pictures": pictures}


READERS = {"coco": coco, "yolo": yolo, "masks": masks, "geojson": geojson}
print(json.dumps(READERS[sys.argv[1]](Path(sys.argv[2]))))
