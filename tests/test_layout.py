"""The library is built from the ground up: a module knows only those below it."""

import ast

import pytest

from vaelib import paths

# From the ground up. A new module takes its place here.
ORDER = [
    "errors",
    "paths",
    "config",
    "files",
    "provenance",
    "device",
    "display",
    "progress",
    "face_factors",
    "face_chances",
    "face_shapes",
    "face_parts",
    "face_wear",
    "faces",
    "lists",
    "stores",
    "photos",
    "shards",
    "caches",
    "copies",
    "sources",
    "prepare",
    "data",
    "convolution",
    "model",
    "loss",
    "batches",
    "memory",
    "steps",
    "runs",
    "checkpoints",
    "fit",
    "train",
    "latent",
    "measures",
    "distances",
    "lessons",
    "judge",
    "claims",
    "verdicts",
    "norms",
    "optimum",
    "tables",
    "results",
    "figures",
    "workers",
    "cluster",
    "study",
    "session",
    "downloads",
    "celeba",
    "export",
    "execution",
    "reproduce",
    "directions",
    "framing",
    "pictures",
    "shelf",
    "explore_state",
    "explore_widgets",
    "explore_draw",
    "explore_ways",
    "explore_attributes",
    "explore_photo",
    "explore",
    "app",
]

# What a machine that only trains need not have installed.
HEAVY = {"IPython", "jupyter_client", "papermill", "nbconvert", "nbformat", "typst", "matplotlib"}
TRAINING = ORDER[: ORDER.index("tables") + 1]


def imported(module: str) -> set[str]:
    """The full names of all that a module imports."""
    tree = ast.parse((paths.ROOT / "vaelib" / f"{module}.py").read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_module_has_its_place() -> None:
    modules = {file.stem for file in (paths.ROOT / "vaelib").glob("*.py")} - {"__init__"}
    assert modules == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_below(module: str) -> None:
    own = {name.split(".")[1] for name in imported(module) if name.startswith("vaelib.")}
    assert own <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", TRAINING)
def test_training_needs_neither_jupyter_nor_figures(module: str) -> None:
    assert not HEAVY & {name.split(".")[0] for name in imported(module)}


@pytest.mark.parametrize("module", ORDER)
def test_only_the_explorer_draws_widgets(module: str) -> None:
    widgets = {"ipywidgets", "anywidget"} & {name.split(".")[0] for name in imported(module)}
    assert not widgets or module.startswith("explore")
