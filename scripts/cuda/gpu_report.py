"""One JSON file and a few tables of what check-gpu.sh has run.

    python3 scripts/cuda/gpu_report.py FOLDER --steps FILE [--about FILE]

FOLDER holds *.jsonl; FILE has a line `name<TAB>status<TAB>seconds` for each step. Exits 1 if a
step or a comparison failed.
"""

import argparse
import json
from pathlib import Path


def read_lines(folder):
    for path in sorted(Path(folder).glob("*.jsonl")):
        for line in path.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def read_steps(path):
    steps = []
    for line in Path(path).read_text().splitlines():
        name, status, seconds = line.split("\t")
        steps.append({"name": name, "ok": status == "0", "status": int(status), "seconds": int(seconds)})
    return steps


def table(title, head, rows):
    if not rows:
        return
    print(f"\n{title}")
    cells = [head] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))


def number(value, digits=3):
    return "-" if value is None else f"{value:.{digits}g}"


def share(value):
    return "-" if value is None else f"{100 * value:.1f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--steps", required=True)
    parser.add_argument("--about", default="{}", help="JSON: what it ran on")
    parser.add_argument("--json", required=True)
    args = parser.parse_args()

    lines = list(read_lines(args.folder))
    of = lambda kind: [line for line in lines if line["kind"] == kind]
    steps = read_steps(args.steps)
    checked = of("kernel") + of("agreement") + of("failure")
    failed = [line for line in checked if not line.get("ok")]

    table(
        "Ceilings",
        ["device", "copy GB/s", "float32", "bfloat16", "float16 TFLOP/s"],
        [
            [c["device"]] + [number(c[k]) for k in ("copyGbPerSecond", "float32Tflops", "bfloat16Tflops", "float16Tflops")]
            for c in of("ceilings")[:1]
        ],
    )
    small = any(k.get("small") for k in of("kernel"))
    table(
        "Kernels" + (", at sizes far below those that their names give" if small else ""),
        ["kernel", "dtype", "ms", "TFLOP/s", "of matrix peak", "GB/s", "of copy", "error", "right"],
        [
            [k["name"], k["dtype"], number(k.get("ms")), number(k.get("tflops")), share(k.get("shareOfMatrixPeak"))]
            + [number(k.get("gbPerSecond")), share(k.get("shareOfCopy")), number(k.get("error"), 2), k.get("ok")]
            for k in of("kernel")
        ],
    )
    ours = {}
    theirs = {}
    for s in of("speed"):
        target = theirs if s.get("program") == "torch" else ours
        target[s["model"], s["device"], s["dtype"], s["what"]] = s
    rows = []
    for key, s in ours.items():
        peer = theirs.get(key, {}).get("perSecond")
        mine = s.get("perSecond")
        ratio = number(mine / peer) if mine and peer else "-"
        rows.append(
            [" ".join(key), s["batch"], number(s.get("ms")), number(mine, 4), number(peer, 4), ratio]
            + [share(s.get("shareOfMatrixPeak"))]
        )
    table("Speed", ["model device dtype what", "batch", "ms", "per second", "PyTorch", "ratio", "of matrix peak"], rows)

    worst = {}
    for a in of("agreement"):
        key = (a.get("program", "declip"), a["model"], a["device"], a["dtype"])
        if "leastCosine" not in a or a["leastCosine"] is None:
            continue
        if key not in worst or a["leastCosine"] < worst[key]["leastCosine"]:
            worst[key] = a
    table(
        "Furthest from the CPU in float32",
        ["program model device dtype", "what", "least cosine", "limit"],
        [[" ".join(k), a["what"], f"{a['leastCosine']:.6f}", a["limit"]] for k, a in worst.items()],
    )
    table("Steps", ["step", "seconds", "status"], [[s["name"], s["seconds"], "ok" if s["ok"] else f"failed ({s['status']})"] for s in steps])
    for line in failed:
        print(f"WRONG: {json.dumps(line)}")
    ok = not failed and all(s["ok"] for s in steps)
    result = {"ok": ok, "about": json.loads(args.about), "steps": steps, "lines": lines}
    Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    right = len(checked) - len(failed)
    print(f"\n{right} comparisons right, {len(failed)} wrong; {sum(not s['ok'] for s in steps)} steps failed")
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
