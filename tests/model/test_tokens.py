"""Instance normalisation and token embedding against hand-computed values."""

import torch

from tests.refusal import refused
from timellama.methods.time_llama.tokens import EPSILON, TokenEmbedding, instance_normalise


def test_normalisation_matches_hand_computed_values():
    x = torch.tensor([1.0, 3.0, 5.0, 7.0]).reshape(1, 4, 1)
    normal = instance_normalise(x)
    # Mean 4, biased variance (9 + 1 + 1 + 9) / 4 = 5.
    expected = (x - 4) / (5 + EPSILON) ** 0.5
    torch.testing.assert_close(normal.values, expected)


def test_undoing_the_normalisation_restores_the_look_back(x):
    normal = instance_normalise(x)
    torch.testing.assert_close(normal.undo(normal.values), x)
    assert normal.values.mean(dim=1).abs().max() < 1e-6


def test_a_constant_variate_stays_finite():
    normal = instance_normalise(torch.full((1, 6, 1), 7.0))
    assert torch.equal(normal.values, torch.zeros(1, 6, 1))


def test_each_variate_is_embedded_independently_by_the_same_map(x):
    torch.manual_seed(0)
    embed = TokenEmbedding(context=24, width=4, kind="linear")
    tokens = embed(x)
    assert tokens.shape == (3, 5, 4)
    by_hand = embed.embed.weight @ x[1, :, 2] + embed.embed.bias
    torch.testing.assert_close(tokens[1, 2], by_hand)
    order = torch.tensor([4, 2, 0, 1, 3])
    torch.testing.assert_close(embed(x[:, :, order]), tokens[:, order])


def test_mlp_has_a_second_layer_and_an_unknown_kind_is_refused():
    assert (
        sum(p.numel() for p in TokenEmbedding(context=24, width=4, kind="mlp").parameters()) == 24 * 4 + 4 + 4 * 4 + 4
    )
    with refused("token_embedding", "'conv'", "linear", "mlp", error=ValueError):
        TokenEmbedding(context=24, width=4, kind="conv")
