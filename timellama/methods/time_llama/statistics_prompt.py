"""A prompt for each sample: the data set's description and statistics of the sample's look-back.

Not in the paper, whose figure 1 shows only a description; Time-LLM (Jin et al. 2024, arXiv 2310.01728) and the
reference code around it put statistics in. Time-LLM has one prompt per variate. Here one prompt serves all variate
tokens of a sample, so its statistics are over all of them.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timellama.methods.time_llama.lags import LAGS

LAG_DECIMALS = 6  # our choice: coarser than the rounding errors of an FFT in double precision
DECIMALS = 3  # our choice: at full float precision another machine's rounding would change tokens


class StatisticsPrompt(nn.Module):
    """Texts, and their embeddings from the backbone's own table [V, D], for a batch of look-backs.

    `tokenise` turns a text into rows of the table; `scale` is what the backbone multiplies embeddings by. The table is
    not saved with the model. Raises ValueError for a context with fewer than 5 lags.
    """

    def __init__(
        self,
        *,
        context: int,
        description: str,
        tokenise: Callable[[str], list[int]],
        embedding_table: Tensor,
        scale: float,
    ):
        super().__init__()
        if context < 2 * LAGS:
            raise ValueError(
                f"context is {context}: the prompt names {LAGS} lags of up to half of it; use {2 * LAGS} steps or more"
            )
        self.description, self.tokenise, self.scale = description, tokenise, scale
        self.register_buffer("embedding_table", embedding_table, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised look-backs x [B, T, N] -> embeddings [B, P, D], and which tokens count [B, P].

        P is the longest prompt of the batch; shorter ones end in zeros that do not count.
        """
        rows = [torch.tensor(self.tokenise(text), device=x.device) for text in self.texts(x)]
        lengths = torch.tensor([len(row) for row in rows], device=x.device)
        keep = torch.arange(int(lengths.max()), device=x.device) < lengths[:, None]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return F.embedding(ids, self.embedding_table).float() * self.scale * keep[..., None], keep

    def texts(self, x: Tensor) -> list[str]:
        """One text per sample of x [B, T, N]."""
        values = x.flatten(1)  # [B, T N]
        facts = zip(
            values.amin(dim=1).tolist(),
            values.amax(dim=1).tolist(),
            values.median(dim=1).values.tolist(),  # the lower of the two middle values if their number is even
            ((x[:, -1] - x[:, 0]).sum(dim=1) > 0).tolist(),
            strongest_lags(x).tolist(),
            strict=True,
        )
        return [
            f"{self.description} Input: minimum {minimum:.{DECIMALS}f}, maximum {maximum:.{DECIMALS}f}, "
            f"median {median:.{DECIMALS}f}, trend {'upward' if rising else 'downward'}, "
            f"strongest lags {', '.join(map(str, lags))}."
            for minimum, maximum, median, rising, lags in facts
        ]


def strongest_lags(x: Tensor) -> Tensor:
    """The 5 lags from 1 to T / 2 with the highest autocorrelation, strongest first: x [B, T, N] -> [B, 5].

    The autocorrelation is the circular one, by FFT, in double precision, as the mean over variates; of equal lags the
    smaller comes first. Lag 0 always leads and lag k ties with T - k, so neither is considered (Time-LLM's reference
    considers both).
    """
    steps = x.shape[1]
    spectrum = torch.fft.rfft(x.double(), dim=1)
    correlation = torch.fft.irfft(spectrum.abs().square(), n=steps, dim=1).mean(dim=2) / steps
    ranked = correlation[:, 1 : steps // 2 + 1].round(decimals=LAG_DECIMALS).sort(dim=1, descending=True, stable=True)
    return ranked.indices[:, :LAGS] + 1
