"""Writes test/fixtures/config-fields.json: every field that a configuration of open_clip or transformers may have,
with its default, read from the sources of the installed packages without running them.

    python scripts/make/make-config-fields.py

Needs open_clip_torch 3.3.0 and transformers 5.18.0, or folders with their sources in PYTHONPATH."""

import ast
import importlib.util
import json
import pathlib

ROOT = pathlib.Path(__file__).parents[2]

# Of transformers: model, then its classes of fields.
TRANSFORMERS = {
    "clip": ["CLIPConfig", "CLIPVisionConfig", "CLIPTextConfig"],
    "metaclip_2": ["MetaClip2Config", "MetaClip2VisionConfig", "MetaClip2TextConfig"],
    "siglip": ["SiglipConfig", "SiglipVisionConfig", "SiglipTextConfig"],
    "siglip2": ["Siglip2Config", "Siglip2VisionConfig", "Siglip2TextConfig"],
    "dinov3_vit": ["DINOv3ViTConfig"],
    "tipsv2": ["Tipsv2Config", "Tipsv2VisionConfig", "Tipsv2TextConfig"],
}


def source(package, path):
    spec = importlib.util.find_spec(package)
    return ast.parse((pathlib.Path(spec.origin).parent / path).read_text())


def value(node):
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)


def classes(tree):
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def fields_of_class(node):
    """Annotated fields, which dataclasses and transformers' configurations have."""
    return {
        line.target.id: None if line.value is None else value(line.value)
        for line in node.body
        if isinstance(line, ast.AnnAssign)
    }


def arguments(function):
    """Arguments that have a default, or None where they have none; not self."""
    names = [argument.arg for argument in function.args.args][1:]
    defaults = [None] * (len(names) - len(function.args.defaults)) + [
        value(node) for node in function.args.defaults
    ]
    return dict(zip(names, defaults))


def open_clip():
    model = classes(source("open_clip", "model.py"))
    transform = classes(source("open_clip", "transform.py"))
    start = next(
        node
        for node in model["CLIP"].body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    return {
        "CLIP": arguments(start),
        "CLIPVisionCfg": fields_of_class(model["CLIPVisionCfg"]),
        "CLIPTextCfg": fields_of_class(model["CLIPTextCfg"]),
        "PreprocessCfg": fields_of_class(transform["PreprocessCfg"]),
    }


def transformers():
    return {
        name: {
            wanted: fields_of_class(
                classes(source("transformers", f"models/{name}/configuration_{name}.py"))[wanted]
            )
            for wanted in names
        }
        for name, names in TRANSFORMERS.items()
    }


if __name__ == "__main__":
    fields = {
        "made with": "open_clip 3.3.0 and transformers 5.18.0: fields of their configurations and the defaults",
        "open_clip": open_clip(),
        "transformers": transformers(),
    }
    path = ROOT / "test" / "fixtures" / "config-fields.json"
    path.write_text(json.dumps(fields, indent=1) + "\n")
    print(f"wrote {path}")
