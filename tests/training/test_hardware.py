"""The hardware at hand decides the preset and the precision, unless the caller does."""

import os
from collections.abc import Callable

import pytest
import torch

from tests.conftest import refusal
from vaelib.training import hardware

Pretend = Callable[[dict[str, bool]], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Let torch tell of a processor with these abilities."""

    def abilities(told: dict[str, bool]) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)

    return abilities


# --- the device


def machine_with(accelerator: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch say that this machine has such an accelerator, or none."""
    device = torch.device(accelerator) if accelerator else None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: device)


@pytest.mark.parametrize("accelerator", ["cuda", "mps", "xpu"])
def test_an_accelerator_is_picked_where_there_is_one(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(accelerator, monkeypatch)
    assert hardware.pick_device() == torch.device(accelerator)
    machine_with(None, monkeypatch)
    assert hardware.pick_device() == CPU


def test_an_accelerator_that_nobody_has_tried_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine_with("meta", monkeypatch)
    assert hardware.pick_device() == CPU


def test_the_chosen_device_is_picked_in_processes_that_are_started_later_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine_with("mps", monkeypatch)
    monkeypatch.setenv(hardware.VARIABLE, "auto")
    hardware.use_device("cpu")
    assert hardware.pick_device() == CPU
    assert os.environ[hardware.VARIABLE] == "cpu"


def test_a_device_that_is_not_here_is_refused_and_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine_with("mps", monkeypatch)
    monkeypatch.setenv(hardware.VARIABLE, "auto")
    message = refusal(lambda: hardware.use_device("cuda"))
    assert message == "device is 'cuda', but this machine has mps; choose auto or mps"
    assert os.environ[hardware.VARIABLE] == "auto"
    assert "choose auto, cpu, cuda, mps, xpu" in refusal(lambda: hardware.use_device("gpu"))


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


def test_apples_gpu_computes_in_float32_and_intels_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert hardware.best_precision(torch.device("mps")) == "float32"
    for able, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.xpu, "is_bf16_supported", lambda able=able, **_: able)
        assert hardware.best_precision(torch.device("xpu")) == precision
