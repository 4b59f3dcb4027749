"""Time-LLM: hand-computed prompts, reprogramming by its equations, `transformers` as reference, kept prototypes."""

import copy

import pytest
import torch
from torch import nn

from tests.refusal import refused
from timellama.methods.time_llm.network import Reprogramming, TimeLLM, describe

OPTIONS = {
    "patch_length": 8,
    "patch_stride": 4,
    "width": 6,
    "features": 10,
    "heads": 2,
    "prototypes": 7,
    "dropout": 0.1,
}

SCALE = 4.0  # as Gemma of width 16 multiplies its own embeddings by


def tokenise(text: str) -> list[int]:
    """A token a character: the prompt's length shows in the number of tokens."""
    return [ord(character) % 31 for character in text]


@pytest.fixture
def embedding_table(language_model) -> torch.Tensor:
    return language_model.get_input_embeddings().weight.detach()


@pytest.fixture
def model(language_model, embedding_table, backbone_of) -> TimeLLM:
    return TimeLLM(
        context=25,
        horizon=6,
        backbone=backbone_of(language_model),
        embedding_table=embedding_table,
        embedding_scale=SCALE,
        tokenise=tokenise,
        description="Oil.",
        **OPTIONS,
    ).eval()


def test_facts_match_hand_computed_values():
    facts = describe(torch.tensor([[4.0, -1, 3, 0, 2, 5], [2.0, 2, 2, 2, 2, 2], [3.0, 0, 0, 0, 0, 1]]))
    assert facts.minimum.tolist() == [-1, 2, 0]
    assert facts.maximum.tolist() == [5, 2, 3]
    assert facts.median.tolist() == [2, 2, 0]
    assert facts.rising.tolist() == [True, False, False]
    # Circular autocorrelations: 55, 23, 21, 26, 21, 23; six times 24; 10, 3, 0, 0, 0, 3. Ties go to the smaller lag.
    assert facts.lags.tolist() == [[0, 3, 1, 5, 2], [0, 1, 2, 3, 4], [0, 1, 5, 2, 3]]


@pytest.mark.parametrize("steps", [24, 25, 96])
def test_lags_match_the_defining_sum(steps):
    series = torch.randn(4, steps)
    correlation = torch.stack([(series * series.roll(lag, 1)).sum(1) for lag in range(steps)], dim=1)
    found = correlation.gather(1, describe(series).lags)
    torch.testing.assert_close(found, correlation.topk(5, dim=1).values)


def test_lags_of_a_daily_rhythm_are_whole_days():
    series = torch.sin(2 * torch.pi * torch.arange(96.0) / 24)[None]
    assert set(describe(series).lags[0].tolist()) >= {0, 24, 48, 72}


def test_the_prompt_states_data_task_and_statistics(model):
    series = torch.tensor([[0.0, 1, -2, 3.14159] + [0.5] * 21])
    series[0, -1] = -0.25
    lags = ", ".join(map(str, describe(series).lags[0].tolist()))
    assert model.prompts(series) == [
        "Data: Oil. Task: forecast the 6 steps that follow these 25. "
        f"Input: minimum -2.000, maximum 3.142, median 0.500, trend downward, strongest lags {lags}."
    ]


def test_reprogramming_follows_its_equations():
    layer = Reprogramming(
        vocabulary=11, prototypes=5, width_in=4, width_out=6, heads=3, head_width=2, dropout=0.1
    ).eval()
    tokens, table = torch.randn(2, 3, 4), torch.randn(11, 6)
    prototypes = layer.mixture.weight @ table + layer.mixture.bias[:, None]
    q = tokens @ layer.query.weight.T + layer.query.bias
    k = prototypes @ layer.key.weight.T + layer.key.bias
    v = prototypes @ layer.value.weight.T + layer.value.bias
    heads = []
    for columns in torch.arange(6).chunk(3):
        weights = (q[..., columns] @ k[:, columns].T / 2**0.5).softmax(-1)
        heads.append(weights @ v[:, columns])
    expected = torch.cat(heads, -1) @ layer.out.weight.T + layer.out.bias
    torch.testing.assert_close(layer(tokens, table), expected)


def test_the_forward_pass_equals_that_of_transformers_for_each_series(model, language_model, embedding_table):
    x = torch.randn(2, 25, 3)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    normal = (x - mean) / deviation
    expected = torch.empty(2, 6, 3)
    with torch.no_grad():
        for sample in range(2):
            for variate in range(3):
                series = normal[sample, :, variate]
                padded = torch.cat([series, series[-1:].expand(4)])
                patches = torch.stack([padded[start : start + 8] for start in range(0, 24, 4)])  # [patches, length]
                circle = torch.cat([patches[-1:], patches, patches[:1]])
                kernel = model.embed.weight  # [width, length, 3]
                tokens = torch.stack([torch.einsum("kl,wlk->w", circle[i : i + 3], kernel) for i in range(6)])
                tokens = model.reprogram(tokens[None], embedding_table)[0]
                prompt = SCALE * embedding_table[torch.tensor(tokenise(model.prompts(series[None])[0]))]
                h = language_model(inputs_embeds=torch.cat([prompt, tokens])[None]).last_hidden_state[0]
                expected[sample, :, variate] = model.head(h[-6:, :10].flatten())
        torch.testing.assert_close(model(x), expected * deviation + mean, rtol=1e-4, atol=1e-4)


def test_prompts_of_different_lengths_do_not_affect_each_other(checks, model):
    x = torch.randn(6, 25, 4)
    normal = ((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0)).transpose(1, 2).flatten(0, 1)
    assert len({len(prompt) for prompt in model.prompts(normal)}) > 2
    checks.forecasts_ignore_the_batch(model, x)


def test_the_prompt_affects_the_forecast(model):
    x = torch.randn(1, 25, 2)
    other = copy.copy(model)
    other.description = "Rain."
    assert not torch.allclose(model(x), other(x), rtol=1e-3, atol=1e-3)


def test_variates_are_independent_and_keep_scale_and_gradients_arrive(checks, model):
    x = torch.randn(5, 25, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0}
    checks.forecasts_keep_scale(model, x, tolerance=5e-2)
    checks.gradient_reaches(model, x)


def test_the_backbone_stays_frozen_and_the_table_is_not_saved(model):
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert "embedding_table" in dict(model.named_buffers())
    assert "embedding_table" not in model.state_dict()


def count_mixtures(model: TimeLLM) -> list[int]:
    """A list that grows by one each time the prototypes are computed."""
    calls = []
    model.reprogram.mixture.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_prototypes_are_computed_once_outside_training(model):
    calls, x = count_mixtures(model), torch.randn(2, 25, 3)
    with torch.no_grad():
        first = model(x)
        assert torch.equal(model(x), first)
    assert len(calls) == 1
    with torch.inference_mode():
        assert torch.equal(model(x), first)
    assert len(calls) == 1
    model(x).sum().backward()  # a gradient needs the graph, so nothing is reused
    assert len(calls) == 2
    assert model.reprogram.mixture.weight.grad is not None


@pytest.mark.parametrize("change", ["load", "step", "in place", "data"])
def test_new_weights_never_get_remembered_prototypes(model, change):
    x = torch.randn(2, 25, 3)
    with torch.no_grad():
        before = model(x)
    if change == "load":
        model.load_state_dict({k: v + 0.1 if "reprogram.key" in k else v for k, v in model.state_dict().items()})
    elif change == "step":
        model.train()
        model(x).square().mean().backward()
        torch.optim.SGD(model.reprogram.value.parameters(), lr=1.0).step()
        model.eval()
    elif change == "data":
        model.train().reprogram.mixture.weight.data.normal_()  # leaves the weight's version unchanged
        model.eval()
    else:
        nn.init.normal_(model.reprogram.mixture.weight)
    fresh = copy.deepcopy(model)
    fresh.reprogram._remembered = None
    with torch.no_grad():
        after = model(x)
        assert not torch.allclose(after, before)
        assert torch.equal(after, fresh(x))


def test_bfloat16_blocks_run_under_autocast_and_are_not_confused_with_float32(
    language_model, embedding_table, backbone_of
):
    x, parts = torch.randn(2, 25, 3), {"embedding_scale": SCALE, "tokenise": tokenise, "description": "Oil."}
    backbone = backbone_of(language_model.to(torch.bfloat16))
    table = embedding_table.to(torch.bfloat16)
    model = TimeLLM(context=25, horizon=6, backbone=backbone, embedding_table=table, **parts, **OPTIONS).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(x)
    assert half.dtype == torch.float32 and torch.isfinite(half).all()
    model.float()
    with torch.no_grad():
        torch.testing.assert_close(model(x), half, rtol=0.2, atol=0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.train()(x).sum().backward()


def test_dropout_acts_only_in_training(model):
    x = torch.randn(2, 25, 3)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


class MetaBackbone(nn.Module):
    """Only the width of Llama 7B, since counting needs no weights."""

    width = 4096


def test_parameter_count_in_the_published_setting(checks):
    """Llama 7B (V 32000, D 4096) at look-back 512, ETTh1's settings: KimMeen/Time-LLM, scripts/TimeLLM_ETTh1.sh."""
    settings = {"patch_length": 16, "patch_stride": 8, "width": 32, "features": 128, "heads": 8, "prototypes": 1000}
    with torch.device("meta"):
        model = TimeLLM(
            context=512,
            horizon=96,
            backbone=MetaBackbone(),
            embedding_table=torch.empty(32000, 4096),
            embedding_scale=1.0,
            tokenise=tokenise,
            description="",
            dropout=0.1,
            **settings,
        )
    mixture = 32000 * 1000 + 1000
    attention = (32 * 1024 + 1024) + 2 * (4096 * 1024 + 1024) + (1024 * 4096 + 4096)
    head = 64 * 128 * 96 + 96
    assert checks.trained_count(model) == 3 * 16 * 32 + mixture + attention + head


def test_sizes_that_do_not_fit_are_refused(language_model, embedding_table, backbone_of):
    parts = {
        "horizon": 6,
        "backbone": backbone_of(language_model),
        "embedding_table": embedding_table,
        "embedding_scale": 1.0,
        "tokenise": tokenise,
        "description": "",
    }
    with refused("context", 7, OPTIONS["patch_length"], "patch_length"):
        TimeLLM(context=7, **parts, **OPTIONS)
    with refused("context", 4, "5 steps"):
        TimeLLM(context=4, **parts, **(OPTIONS | {"patch_length": 1}))
    with refused("features", 17, "width", 16):
        TimeLLM(context=25, **parts, **(OPTIONS | {"features": 17}))
