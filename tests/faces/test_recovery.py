"""What made a face can be read off its picture: a small network recovers the large factors."""

import pytest
import torch
from torch import Tensor, nn

from vaelib.faces import render, sampling
from vaelib.faces.factors import Factors

FACTORS = ("yaw", "skin_tone", "melanin", "smile", "light_azimuth", "jaw_width")
WEIGHTS = torch.tensor([1.0, 1.0, 1.0, 3.0, 1.0, 2.0])  # smile and jaw are the smallest to see
MIRRORED = torch.tensor([-1.0, 1.0, 1.0, 1.0, -1.0, 1.0])  # what a mirror makes of each
pytestmark = pytest.mark.long  # trains a network

TRAINING, HELD_OUT, EPOCHS, BATCH = 16_000, 2_000, 6, 64


def targets_of(factors: Factors) -> Tensor:
    return torch.stack([getattr(factors, name) for name in FACTORS], dim=1)


def hair_is_visible(factors: Factors) -> Tensor:
    """Whether melanin can be seen at all: there is hair, in its own colour, under no hat."""
    bare = (factors.bald == 0) & (factors.hat == 0)
    return bare & (factors.gray < 0.3) & (factors.red < 0.3)


def network() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    head = [nn.Flatten(), nn.Linear(128 * 4 * 3, 128), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(128, len(FACTORS) + 1))


@pytest.fixture(scope="module")
def recovered() -> tuple[Factors, Tensor]:
    """Held-out faces' factors, and what the network reads off their pictures (n, 7)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        factors = sampling.sample(TRAINING, seed=10)
        pixels = render.render(factors)
        target, worn = targets_of(factors), (factors.glasses > 0).float()
        mean, standard_deviation = target.mean(dim=0), target.std(dim=0)
        mean = torch.where(MIRRORED < 0, 0.0, mean)
        target, counts = (target - mean) / standard_deviation, torch.ones_like(target)
        counts[:, FACTORS.index("melanin")] = hair_is_visible(factors).float()
        model = network().to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
        steps = EPOCHS * (TRAINING // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
        for step in range(steps):
            chosen = torch.randint(TRAINING, (BATCH,))
            batch, goal = pixels[chosen].float() / 127.5 - 1, target[chosen]
            batch = batch.contiguous(memory_format=torch.channels_last)
            if step % 2:
                batch, goal = batch.flip(-1), goal * MIRRORED
            with torch.autocast("cpu", torch.bfloat16):
                output = model(batch).float()
            error = (WEIGHTS * counts[chosen] * (output[:, :-1] - goal) ** 2).mean()
            loss = error + nn.functional.binary_cross_entropy_with_logits(
                output[:, -1], worn[chosen]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        model.eval()
        held_out = sampling.sample(HELD_OUT, seed=11)
        with torch.no_grad():
            output = model(render.render(held_out).float() / 127.5 - 1)
        output[:, :-1] = output[:, :-1] * standard_deviation + mean
    return held_out, output


def r2(estimate: Tensor, truth: Tensor) -> float:
    return float(1 - (estimate - truth).square().mean() / truth.var())


def test_the_large_factors_are_recovered_from_the_picture(
    recovered: tuple[Factors, Tensor],
) -> None:
    held_out, output = recovered
    scores = {}
    for column, name in enumerate(FACTORS):
        visible = hair_is_visible(held_out) if name == "melanin" else torch.ones(HELD_OUT) > 0
        scores[name] = r2(output[visible, column], getattr(held_out, name)[visible])
    print(f"R2 of each factor: {scores}")
    assert not [name for name, score in scores.items() if score < 0.9]


def test_glasses_are_recovered_from_the_picture(recovered: tuple[Factors, Tensor]) -> None:
    held_out, output = recovered
    worn, score = held_out.glasses > 0, output[:, -1]
    area = (score[worn][:, None] > score[~worn][None]).float().mean()
    assert area >= 0.9
