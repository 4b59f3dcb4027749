"""Equation 3 against the plain formula, head by head."""

import torch

from tests.refusal import refused
from timellama.methods.time_llama.alignment import Alignment


def test_equation_3_holds_head_by_head():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=2)
    h, prompt = torch.randn(2, 4, 6), torch.randn(3, 6)
    heads = []
    for k in range(2):
        rows = slice(3 * k, 3 * k + 3)
        q = h @ align.query.weight[rows].T
        keys, values = prompt @ align.key.weight[rows].T, prompt @ align.value.weight[rows].T
        heads.append(torch.softmax(q @ keys.T / 3**0.5, dim=-1) @ values)
    attended = torch.cat(heads, dim=-1) @ align.output.weight.T
    expected = (h + attended) @ align.project.weight.T + align.project.bias
    torch.testing.assert_close(align(h, prompt, None), expected)


def test_one_prompt_per_sample_equals_a_shared_one():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=3)
    h, prompt = torch.randn(2, 4, 6), torch.randn(3, 6)
    torch.testing.assert_close(align(h, prompt.expand(2, 3, 6), None), align(h, prompt, None))


def test_the_cached_reading_of_a_prompt_is_dropped_when_anything_it_depends_on_changes():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=2).eval()
    h, prompt = torch.randn(2, 4, 6), torch.randn(3, 6)
    optimiser = torch.optim.Adam(align.parameters(), lr=0.1, fused=True)

    def agree() -> bool:
        """Twice in evaluation without gradients, the second time from the cache, against once with gradients."""
        with torch.inference_mode():
            first, second = align(h, prompt, None), align(h, prompt, None)
        return torch.equal(first, second) and torch.allclose(first, align(h, prompt, None))

    assert agree()
    align(h, prompt, None).square().sum().backward()
    align.train()
    optimiser.step()
    align.eval()
    assert agree(), "an optimiser step changes keys and values"
    align.load_state_dict({name: tensor + 1 for name, tensor in align.state_dict().items()})
    assert agree(), "so does loading weights"
    prompt.mul_(2)
    assert agree(), "and so does another text"
    prompt = prompt + 1
    assert agree()
    align.double()
    h, prompt = h.double(), prompt.double()
    assert agree()


def test_tokens_do_not_affect_each_other():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=2)
    h, prompt = torch.randn(1, 4, 6), torch.randn(3, 6)
    changed = h.clone()
    changed[0, 0] += 1
    difference = (align(changed, prompt, None) - align(h, prompt, None)).abs().amax(dim=-1)[0]
    assert difference[0] > 0.01 and difference[1:].max() == 0


def test_heads_must_divide_the_width():
    with refused("heads", 4, "width 6", error=ValueError):
        Alignment(width=6, heads=4)


def test_an_empty_prompt_gives_no_attention_and_only_the_projection():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=2)
    h = torch.randn(2, 4, 6)
    expected = h @ align.project.weight.T + align.project.bias
    for prompt in (torch.randn(0, 6), torch.randn(2, 0, 6)):
        torch.testing.assert_close(align(h, prompt, None), expected)


def test_padded_keys_have_no_effect():
    torch.manual_seed(0)
    align = Alignment(width=6, heads=2)
    h, prompt = torch.randn(2, 4, 6), torch.randn(2, 3, 6)
    padded = torch.cat([prompt, 100 * torch.randn(2, 2, 6)], dim=1)
    keep = torch.tensor([[True, True, True, False, False], [True, True, False, False, False]])
    out = align(h, padded, keep)
    torch.testing.assert_close(out[:1], align(h[:1], prompt[0], None))
    torch.testing.assert_close(out[1:], align(h[1:], prompt[1, :2], None))
    assert (out - align(h, padded, None)).abs().max() > 1e-3
