"""pycocotools' COCOeval on cases that come line by line as JSON, answered by float64 numbers.

Needs pycocotools and numpy. For every line { kind, maxDets, dataset, results, speed? } standard output gets a line of
JSON { counts: [T, R, K, A, M], seconds of processor time } and the bytes of 12 statistics, precision, scores and recall (with `speed`,
of the statistics alone).
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def evaluate(case):
    truth = COCO()
    truth.dataset = {"info": {}, **case["dataset"]}
    truth.createIndex()
    results = truth.loadRes(case["results"])
    one = COCOeval(truth, results, case["kind"])
    one.params.maxDets = case["maxDets"]
    start = time.process_time()
    one.evaluate()
    one.accumulate()
    one.summarize()
    seconds = time.process_time() - start
    # summarize() looks for the first figure at 100 detections, whatever the limits are.
    precision = one.eval["precision"]
    best = precision[:, :, :, 0, -1]
    one.stats[0] = np.mean(best[best > -1]) if np.any(best > -1) else -1
    return one, seconds


for line in sys.stdin:
    case = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()):
        one, seconds = evaluate(case)
    arrays = [one.stats]
    if not case.get("speed"):
        arrays += [one.eval["precision"], one.eval["scores"], one.eval["recall"]]
    out = sys.stdout.buffer
    header = {"counts": [int(n) for n in one.eval["counts"]], "seconds": seconds}
    out.write((json.dumps(header) + "\n").encode())
    for array in arrays:
        out.write(np.ascontiguousarray(array, dtype="<f8").tobytes())
    out.flush()
