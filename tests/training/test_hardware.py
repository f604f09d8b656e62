"""The hardware at hand decides the preset and the precision, unless the caller does."""

from collections.abc import Callable

import pytest
import torch

from tests.conftest import refusal
from vaelib.config import PRESETS
from vaelib.training import hardware

Pretend = Callable[[dict[str, bool]], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Let torch tell of a processor with these abilities."""

    def abilities(told: dict[str, bool]) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)

    return abilities


# --- the preset


@pytest.mark.parametrize(("gpu", "preset"), [(True, "full"), (False, "quick")])
def test_auto_is_full_on_a_gpu_and_quick_without(
    gpu: bool, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert hardware.choose_preset("auto") == preset


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_that_is_asked_for_is_taken_on_any_hardware(
    gpu: bool, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert hardware.choose_preset(preset) == preset


@pytest.mark.parametrize("preset", ["fulll", "", "AUTO"])
def test_an_unknown_preset_is_refused_with_the_known_ones(preset: str) -> None:
    message = refusal(lambda: hardware.choose_preset(preset))
    assert repr(preset) in message
    assert "auto, smoke, quick, full" in message


# --- the precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("ability", ["avx512_bf16", "amx_bf16"])
def test_a_processor_that_multiplies_bfloat16_trains_in_it(pretend: Pretend, ability: str) -> None:
    pretend({"avx512_bf16": False, "amx_bf16": False, ability: True})
    assert hardware.best_precision(CPU) == "bfloat16"


@pytest.mark.parametrize(
    "abilities", [{}, {"avx512_bf16": False, "amx_bf16": False}, {"avx2": True, "avx512_f": True}]
)
def test_other_processors_train_in_float32(pretend: Pretend, abilities: dict[str, bool]) -> None:
    pretend(abilities)
    assert hardware.best_precision(CPU) == "float32"


def test_a_torch_that_cannot_tell_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert hardware.best_precision(CPU) == "float32"


@pytest.mark.parametrize(("native", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_trains_in_bfloat16_where_torch_supports_it(
    native: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: native)
    assert hardware.best_precision(torch.device("cuda")) == precision


def test_a_gpu_that_only_imitates_bfloat16_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert hardware.best_precision(torch.device("cuda")) == "float32"


def test_the_names_of_the_abilities_are_those_that_torch_uses() -> None:
    if not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("this torch does not tell what the processor can do")
    if "avx2" not in torch.cpu.get_capabilities():
        pytest.skip("not an x86 processor")
    assert {"avx512_bf16", "amx_bf16"} <= torch.cpu.get_capabilities().keys()
