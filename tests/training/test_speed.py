"""How fast this machine trains decides the preset, unless the caller does."""

import pytest
import torch

from tests.conftest import refusal
from vaelib.config import PRESETS
from vaelib.training import hardware, speed


def machine_with(device: str, rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose best device is this one and trains so many images per second."""
    monkeypatch.setattr(hardware, "pick_device", lambda: torch.device(device))
    monkeypatch.setattr(speed, "images_per_second", lambda _: rate)


@pytest.mark.parametrize(
    ("device", "rate", "preset"),
    [
        ("cpu", 10_000, "quick"),  # no CPU is so fast; the preset is not measured there
        ("mps", 1_000, "quick"),  # the full preset would take 18 hours
        ("mps", 10_000, "full"),
        ("cuda", 10_000, "full"),
        ("cuda", 1_000, "quick"),
    ],
)
def test_auto_is_full_where_an_accelerator_trains_it_within_hours(
    device: str, rate: float, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(device, rate, monkeypatch)
    assert speed.choose_preset("auto") == preset


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_that_is_named_is_taken_on_any_hardware(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with("cpu", 1, monkeypatch)
    assert speed.choose_preset(preset) == preset


@pytest.mark.parametrize("preset", ["fulll", "", "AUTO"])
def test_an_unknown_preset_is_refused_with_the_known_ones(preset: str) -> None:
    message = refusal(lambda: speed.choose_preset(preset))
    assert repr(preset) in message
    assert "auto, smoke, quick, full" in message


def test_the_speed_is_that_of_real_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.1)
    assert 1 < speed.images_per_second("smoke") < 100_000
