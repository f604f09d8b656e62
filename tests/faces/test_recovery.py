"""What made a face can be read off its picture: a small network recovers the large factors."""

import pytest
import torch
from torch import Tensor, nn

from vaelib.faces import render
from vaelib.faces.render import Factors

FACTORS = ("yaw", "skin_tone", "melanin", "smile", "light_azimuth", "jaw_width")
WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 3.0, 1.0, 2.0])  # smile and jaw are the smallest to see
MIRRORED = torch.tensor([-1.0, 1.0, 1.0, 1.0, -1.0, 1.0])  # what a mirror makes of each
TRAINING, HELD_OUT, EPOCHS, BATCH = 16_000, 2_000, 6, 64


def wanted(factors: Factors) -> Tensor:
    return torch.stack([getattr(factors, name) for name in FACTORS], dim=1)


def hair_is_seen(factors: Factors) -> Tensor:
    """Whether melanin can be told at all: there is hair, in its own colour, under no hat."""
    bare = (factors.bald == 0) & (factors.hat == 0)
    return bare & (factors.gray < 0.3) & (factors.red < 0.3)


def network() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    head = [nn.Flatten(), nn.Linear(128 * 4 * 3, 128), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(128, len(FACTORS) + 1))


@pytest.fixture(scope="module")
def read() -> tuple[Factors, Tensor]:
    """Held-out faces' factors, and what the network reads off their pictures (n, 7)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        factors = render.sample(TRAINING, seed=10)
        pixels = render.render(factors)
        told, worn = wanted(factors), (factors.glasses > 0).float()
        mean, deviation = told.mean(dim=0), told.std(dim=0)
        mean = torch.where(MIRRORED < 0, 0.0, mean)
        told, counts = (told - mean) / deviation, torch.ones_like(told)
        counts[:, FACTORS.index("melanin")] = hair_is_seen(factors).float()
        model = network().to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
        steps = EPOCHS * (TRAINING // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
        for step in range(steps):
            chosen = torch.randint(TRAINING, (BATCH,))
            batch, target = pixels[chosen].float() / 127.5 - 1, told[chosen]
            batch = batch.contiguous(memory_format=torch.channels_last)
            if step % 2:
                batch, target = batch.flip(-1), target * MIRRORED
            with torch.autocast("cpu", torch.bfloat16):
                output = model(batch).float()
            error = (WEIGHTS * counts[chosen] * (output[:, :-1] - target) ** 2).mean()
            loss = error + nn.functional.binary_cross_entropy_with_logits(
                output[:, -1], worn[chosen]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        model.eval()
        held_out = render.sample(HELD_OUT, seed=11)
        with torch.no_grad():
            output = model(render.render(held_out).float() / 127.5 - 1)
        output[:, :-1] = output[:, :-1] * deviation + mean
    return held_out, output


def r2(found: Tensor, true: Tensor) -> float:
    return float(1 - (found - true).square().mean() / true.var())


@pytest.mark.parametrize("name", FACTORS)
def test_a_large_factor_is_recovered_from_the_picture(
    name: str, read: tuple[Factors, Tensor]
) -> None:
    held_out, output = read
    found, true = output[:, FACTORS.index(name)], getattr(held_out, name)
    if name == "melanin":
        seen = hair_is_seen(held_out)
        found, true = found[seen], true[seen]
    print(f"R2 of {name}: {r2(found, true):.3f}")
    assert r2(found, true) >= 0.9


def test_glasses_are_recovered_from_the_picture(read: tuple[Factors, Tensor]) -> None:
    held_out, output = read
    worn, score = held_out.glasses > 0, output[:, -1]
    area = (score[worn][:, None] > score[~worn][None]).float().mean()
    assert area >= 0.9
