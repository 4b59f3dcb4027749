"""The prompt with statistics: a hand-computed text, lags that match their definition, padding without effect."""

import math

import pytest
import torch

from tests.refusal import refused
from timellama.methods.time_llama.statistics_prompt import StatisticsPrompt, strongest_lags

VOCABULARY, WIDTH = 128, 32


@pytest.fixture
def make_prompt():
    def make(**changed) -> StatisticsPrompt:
        table = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(5))
        options = {"context": 24, "description": "Load.", "tokenise": lambda text: list(text.encode())}
        return StatisticsPrompt(**(options | {"embedding_table": table, "scale": 2.0} | changed))

    return make


def test_the_text_matches_a_hand_computed_one(make_prompt):
    wave = torch.tensor([math.sin(2 * math.pi * t / 6) for t in range(24)])
    first = torch.stack([wave, 2 * wave], dim=1)  # falls: the last value is below the first
    second = torch.stack([wave.flip(0) + 0.5, wave.flip(0) + 0.5], dim=1)
    texts = make_prompt().texts(torch.stack([first, second]))
    # 2 sin(60 degrees) = 1.732. The middle values of 48 are zeros, up to rounding in the sine.
    assert texts[0].replace("-0.000", "0.000") == (
        "Load. Input: minimum -1.732, maximum 1.732, median 0.000, trend downward, strongest lags 6, 12, 1, 5, 7."
    )
    assert texts[1] == (
        "Load. Input: minimum -0.366, maximum 1.366, median 0.500, trend upward, strongest lags 6, 12, 1, 5, 7."
    )


def test_lags_match_their_definition():
    x = torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(6))
    for sample, found in zip(x.double(), strongest_lags(x), strict=True):
        scores = {lag: (sample * sample.roll(-lag, dims=0)).sum(dim=0).mean().item() for lag in range(1, 11)}
        assert found.tolist() == sorted(scores, key=scores.get, reverse=True)[:5]


def test_embeddings_are_scaled_rows_and_padding_is_marked(make_prompt):
    prompt = make_prompt(tokenise=lambda text: [7] * (3 if "downward" in text else 5))
    x = torch.zeros(2, 24, 3)
    x[1, -1] = 1.0
    embeddings, keep = prompt(x)
    assert keep.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    row = 2.0 * prompt.embedding_table[7]
    torch.testing.assert_close(embeddings[1], row.expand(5, WIDTH))
    torch.testing.assert_close(embeddings[0], torch.cat([row.expand(3, WIDTH), torch.zeros(2, WIDTH)]))


def test_a_samples_forecast_does_not_depend_on_the_prompts_of_others(make_model, make_prompt, x):
    model = make_model(prompt=make_prompt(tokenise=lambda text: list(text.encode())[: -1 if "up" in text else None]))
    model.eval()
    lengths = {int(keep.sum()) for keep in model.prompt(x)[1]}
    assert len(lengths) > 1, "without prompts of different lengths this test would show nothing"
    torch.testing.assert_close(model(x), torch.cat([model(sample[None]) for sample in x]), atol=1e-5, rtol=1e-5)


def test_the_statistics_affect_the_forecast_and_the_table_is_not_saved(make_model, make_prompt, x):
    model = make_model(prompt=make_prompt()).eval()
    before = model(x)
    model.prompt.description = "Another text."
    assert (model(x) - before).abs().max() > 1e-4
    assert not any("prompt" in name for name in model.state_dict())


def test_impossible_options_are_refused(make_model, make_prompt):
    with refused("context", 9, 5, "10 steps", error=ValueError):
        make_prompt(context=9)
    with refused("alignment", "'prefix'", "prompt", error=ValueError):
        make_model(prompt=make_prompt(), alignment="prefix")
