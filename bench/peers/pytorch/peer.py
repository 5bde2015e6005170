"""PyTorch's side of the benches; bench/program.mjs says how the two talk.

Everything runs eagerly under torch.inference_mode() with the number of threads that it is given.
"""

import json
import sys
import time

import cat_seg
import corrclip
import fvit
import itaclip
import numpy as np
import pixels
import sam
import scclip
import torch
import train
from clip import Clip, read_safetensors


def read(path, shape, dtype=np.float32):
    return torch.from_numpy(np.fromfile(path, dtype=dtype).reshape(shape))


def load(request):
    dtype = getattr(torch, request["dtype"])
    return Clip(request["checkpoint"], dtype, request["heads"], request["textHeads"])


def encode_image(request):
    model = load(request)
    images = read(request["images"], request["shape"])
    return lambda: model.encode_image(images)


def encode_text(request):
    model = load(request)
    tokens = read(request["tokens"], request["shape"], np.int32).long()  # [classes, templates, 77]
    return lambda: torch.stack([model.encode_class(prompts) for prompts in tokens])


def pamr(request):
    image = read(request["image"], request["imageShape"])
    masks = read(request["masks"], request["shape"])
    return lambda: pixels.pamr(image, masks, request["iterations"], request["dilations"])


def aggregate(request):
    features = read(request["features"], request["featuresShape"])
    return lambda: pixels.aggregate(features, request["gain"])


def label_windows(request):
    maps = read(request["maps"], request["shape"])
    size, crop, stride = request["size"], request["window"], request["stride"]
    return lambda: pixels.label_windows(maps, size, crop, stride, request["scale"])


def segment_itaclip(request):
    model = load(request)
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    text = read(request["text"], request["textShape"])
    words, options = request["wordClass"], request["options"]
    return lambda: itaclip.segment(model, photo, text, words, options)


def segment_corrclip(request):
    model = load(request)
    dino = corrclip.Dino(
        read_safetensors(request["proxy"]), getattr(torch, request["dtype"]), request["proxyHeads"]
    )
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    regions = read(request["regions"], request["size"], np.int32).long()
    text = read(request["text"], request["textShape"])
    return lambda: corrclip.segment(model, dino, photo, regions, text, request["options"])


def sam_of(request):
    return sam.Sam(
        request["checkpoint"],
        getattr(torch, request["dtype"]),
        request["heads"],
        request["side"],
        request["window"],
    )


def encode_scclip(request):
    model = load(request)
    images = read(request["images"], request["shape"])
    return lambda: scclip.encode(model, images)


def masks(request):
    model = sam_of(request)
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    return lambda: sam.generate(model, photo, request["options"])


def click(request):
    model = sam_of(request)
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    seen = model.encode(photo)
    return lambda: sam.click(model, seen, request["size"], request["point"])


def detect(request):
    model = fvit.FVit(
        request["checkpoint"],
        getattr(torch, request["dtype"]),
        request["heads"],
        request["options"],
    )
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    words = read(request["words"], request["wordsShape"])
    novel = read(request["novel"], [request["wordsShape"][0] - 1], np.uint8).bool()
    return lambda: model.detect(photo, words, novel)


def segment_cat_seg(request):
    model = cat_seg.CatSeg(
        request["checkpoint"],
        getattr(torch, request["dtype"]),
        request["heads"],
        request["options"],
    )
    photo = read(request["pixels"], [*request["size"], 3], np.uint8).numpy()
    text = read(request["text"], request["textShape"])
    return lambda: model.segment(photo, text)


TASKS = {
    "encode-image": encode_image,
    "encode-text": encode_text,
    "pamr": pamr,
    "aggregate": aggregate,
    "label-windows": label_windows,
    "itaclip": segment_itaclip,
    "proxy": segment_corrclip,
    "encode-scclip": encode_scclip,
    "masks": masks,
    "click": click,
    "detect": detect,
    "cat-seg": segment_cat_seg,
    "train-declip": train.prepare,
}


def memory(key):
    """Bytes of VmRSS or VmHWM; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))
    except OSError:
        return 0


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def say(**message):
    print(json.dumps(message), flush=True)


def main():
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    with torch.inference_mode():
        work = TASKS[request["task"]](request)
        peak = memory("VmHWM")
        reset_peak()
        engine = f"PyTorch {torch.__version__}"
        say(ready=True, engine=engine, rss=memory("VmRSS"), peak=peak)
        answer = None
        for line in sys.stdin:
            command, *path = line.split(maxsplit=1)
            if command == "run":
                answer = None  # what is measured has no other answer beside it
                start = time.perf_counter()
                answer = work()
                ms = (time.perf_counter() - start) * 1000
                say(ms=ms, peak=memory("VmHWM"), bytes=answer.nbytes)
            else:
                answer.contiguous().numpy().tofile(path[0].strip())
                say(written=True)


main()
