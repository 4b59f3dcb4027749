"""Time-LLM: patches, expressed in a frozen language model's own words, follow a prompt with the sample's statistics.

Jin et al., ICLR 2024 (arXiv 2310.01728), section 3; reference KimMeen/Time-LLM, models/TimeLLM.py and
layers/Embed.py. Where this differs from the reference:

- the prompt says the same in other words, and gives statistics with 3 decimals: at full float precision another
  machine's rounding errors would change tokens;
- the reference pads the prompts of a batch to one length and does not mask the padding, so a forecast depends on
  its neighbours in the batch. Here series of equal prompt length pass through the backbone together, which needs no
  padding;
- lags are ranked by their autocorrelation to 6 decimals and ties go to the smaller lag. On a circle lag k always ties
  with T - k, and the reference leaves their order to rounding errors;
- all prompts of a run begin with the same tokens, which under causal attention do not depend on later ones: their keys
  and values are computed once per batch;
- the reference casts to bfloat16 inside the model; here the run's precision applies.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timellama.backbones.blocks import Backbone
from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster
from timellama.methods.patches import cut_patches, patch_count
from timellama.methods.time_llama.lags import LAGS
from timellama.methods.time_llama.tokens import instance_normalise

LAG_DECIMALS = 6  # our choice: coarser than the rounding errors of an FFT in double precision
DECIMALS = 3  # our choice: normalised values of about 1, distinguished as finely as errors in the tables


class TimeLLM(Forecaster):
    """y = W_out Flatten(Blocks([prompt; Reprogram(Embed(patches(x_norm)))])), read at the patch tokens (figure 2).

    Each variate of each sample is a separate series. The head reads the first `features` features of each patch
    token, as the reference does.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        backbone: Backbone,
        embedding_table: Tensor,
        embedding_scale: float,
        tokenise: Callable[[str], list[int]],
        description: str,
        patch_length: int,
        patch_stride: int,
        width: int,
        features: int,
        heads: int,
        prototypes: int,
        dropout: float,
    ) -> None:
        """Build with freshly initialised weights around a frozen backbone.

        `embedding_table` [V, D] is the backbone's own and is not saved with the model; `tokenise` turns text into
        rows of it, which are multiplied by `embedding_scale` as the language model itself would do (Gemma; those that
        prototypes are made of are not, as in the reference); `description` describes the data set. Raises InputError
        for a context shorter than a patch or than 5 steps, and for more `features` than the backbone has.
        """
        super().__init__()
        if context < LAGS:
            raise InputError(
                f"context is {context}: the prompt names the {LAGS} strongest lags; use {LAGS} steps or more"
            )
        if features > backbone.width:
            raise InputError(f"features is {features}, but the backbone's width is {backbone.width}; set it no higher")
        self.context, self.horizon, self.features = context, horizon, features
        self.tokenise, self.description, self.embedding_scale = tokenise, description, embedding_scale
        self.patch_length, self.patch_stride = patch_length, patch_stride
        patches = patch_count(context=context, length=patch_length, stride=patch_stride)
        self.register_buffer("embedding_table", embedding_table, persistent=False)
        self.embed = nn.Conv1d(patch_length, width, kernel_size=3, padding=1, padding_mode="circular", bias=False)
        nn.init.kaiming_normal_(self.embed.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.reprogram = Reprogramming(
            vocabulary=embedding_table.shape[0],
            prototypes=prototypes,
            width_in=width,
            width_out=backbone.width,
            heads=heads,
            head_width=features,
            dropout=dropout,
        )
        self.backbone = backbone
        self.head = nn.Linear(patches * features, horizon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        normal = instance_normalise(x)
        series = normal.values.transpose(1, 2).flatten(0, 1)  # [B N, T]
        patches = cut_patches(series, length=self.patch_length, stride=self.patch_stride)
        tokens = self.dropout(self.embed(patches.transpose(1, 2)).transpose(1, 2))  # [B N, patches, width]
        tokens = self.reprogram(tokens, self.embedding_table)  # [B N, patches, D]
        outputs = self._after_prompts(self.prompts(series), tokens)  # [B N, patches, features]
        y = self.dropout(self.head(outputs.flatten(1))).unflatten(0, (x.shape[0], -1))  # [B, N, H]
        return normal.undo(y.transpose(1, 2))

    @property
    def task(self) -> str:
        """What all prompts begin with."""
        return f"Data: {self.description} Task: forecast the {self.horizon} steps that follow these {self.context}."

    def prompts(self, series: Tensor) -> list[str]:
        """One prompt for each normalised series [S, T] (section 3.2, prompt-as-prefix)."""
        facts = describe(series)
        rows = zip(*(fact.tolist() for fact in facts), strict=True)
        return [
            f"{self.task} Input: minimum {minimum:.{DECIMALS}f}, maximum {maximum:.{DECIMALS}f}, "
            f"median {median:.{DECIMALS}f}, trend {'upward' if rising else 'downward'}, "
            f"strongest lags {', '.join(map(str, lags))}."
            for minimum, maximum, median, rising, lags in rows
        ]

    def _embedded(self, rows: list[list[int]], device: torch.device) -> Tensor:
        """The embeddings [S, P, D] of tokens, S rows of P."""
        ids = torch.tensor(rows, dtype=torch.int64, device=device)
        return F.embedding(ids, self.embedding_table) * self.embedding_scale

    def _after_prompts(self, prompts: list[str], tokens: Tensor) -> Tensor:
        """The backbone's output for the patch tokens [S, patches, D], each series after its own prompt."""
        rows = [self.tokenise(prompt) for prompt in prompts]
        shared = _opening([self.tokenise(self.task), *rows])
        before = self.backbone.remember(self._embedded([shared], tokens.device)) if shared else ()
        order, outputs = [], []
        for length in sorted({len(row) for row in rows}):
            chosen = [index for index, row in enumerate(rows) if len(row) == length]
            own = self._embedded([rows[index][len(shared) :] for index in chosen], tokens.device)
            h = torch.cat([own, tokens[chosen]], dim=1)
            outputs.append(self.backbone(h, causal=True, before=before)[:, own.shape[1] :, : self.features])
            order += chosen
        return torch.cat(outputs)[torch.tensor(order, device=tokens.device).argsort()]


def _opening(rows: Sequence[list[int]]) -> list[int]:
    """The tokens that all rows begin with."""
    together = zip(*rows, strict=False)
    return [tokens[0] for tokens in itertools.takewhile(lambda tokens: len(set(tokens)) == 1, together)]


class Reprogramming(nn.Module):
    """Z_k = Softmax(Q_k K_k^T / sqrt(d_k)) V_k; out = Concat(Z) W_O (section 3.1, patch reprogramming).

    Q = tokens W_Q, K = E' W_K, V = E' W_V with text prototypes E' = W E + b [prototypes, D], E [V, D] the embedding
    table.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        prototypes: int,
        width_in: int,
        width_out: int,
        heads: int,
        head_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.mixture = nn.Linear(vocabulary, prototypes)
        self.query = nn.Linear(width_in, heads * head_width)
        self.key = nn.Linear(width_out, heads * head_width)
        self.value = nn.Linear(width_out, heads * head_width)
        self.out = nn.Linear(heads * head_width, width_out)
        self._remembered: tuple[tuple, tuple[Tensor, Tensor]] | None = None

    def forward(self, tokens: Tensor, embedding_table: Tensor) -> Tensor:
        """tokens [S, P, width_in] and the embedding table [V, D] to tokens [S, P, D]."""
        keys, values = self.keys_and_values(embedding_table)
        # The keys are the same for every series, so all tokens are the queries of one attention.
        queries = self._split(self.query(tokens.flatten(0, 1)))
        dropout = self.dropout if self.training else 0.0
        z = F.scaled_dot_product_attention(queries[None], keys[None], values[None], dropout_p=dropout)[0]
        return self.out(z.transpose(0, 1).flatten(1)).unflatten(0, tokens.shape[:2])

    def train(self, mode: bool = True) -> "Reprogramming":
        """Change the mode, and forget what was kept: version counters do not show a change made through `.data`."""
        self._remembered = None
        return super().train(mode)

    def keys_and_values(self, embedding_table: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the text prototypes, each [heads, prototypes, head width].

        They do not depend on the input, and cost V * prototypes * D products. Outside training and without gradients
        they are computed once and kept until a weight changes, which its version counter shows.
        """
        if self.training or torch.is_grad_enabled():
            return self._compute(embedding_table)
        weights = [*self.mixture.parameters(), *self.key.parameters(), *self.value.parameters(), embedding_table]
        autocast = torch.is_autocast_enabled(embedding_table.device.type)  # it decides their precision
        stamp = (autocast, *((weight.data_ptr(), weight._version) for weight in weights))
        if self._remembered is None or self._remembered[0] != stamp:
            self._remembered = stamp, self._compute(embedding_table)
        return self._remembered[1]

    def _compute(self, embedding_table: Tensor) -> tuple[Tensor, Tensor]:
        prototypes = self.mixture(embedding_table.T).T  # E'
        return self._split(self.key(prototypes)), self._split(self.value(prototypes))

    def _split(self, x: Tensor) -> Tensor:
        """[rows, heads * head width] to [heads, rows, head width]."""
        return x.unflatten(1, (self.heads, -1)).transpose(0, 1)


class Facts(NamedTuple):
    """What a prompt says about each of S series."""

    minimum: Tensor  # [S]
    maximum: Tensor  # [S]
    median: Tensor  # [S], the lower of the two middle values if T is even
    rising: Tensor  # [S], whether the last value is above the first: the sign of the summed differences
    lags: Tensor  # [S, 5], strongest autocorrelation first; lag 0 always leads


def describe(series: Tensor) -> Facts:
    """Statistics of series [S, T]; the autocorrelation is the circular one, by FFT, in double precision."""
    steps = series.shape[1]
    spectrum = torch.fft.rfft(series.double(), dim=1)
    correlation = torch.fft.irfft(spectrum.abs().square(), n=steps, dim=1).round(decimals=LAG_DECIMALS)
    lags = correlation.sort(dim=1, descending=True, stable=True).indices[:, :LAGS]
    return Facts(
        minimum=series.amin(dim=1),
        maximum=series.amax(dim=1),
        median=series.median(dim=1).values,
        rising=series[:, -1] > series[:, 0],
        lags=lags,
    )
