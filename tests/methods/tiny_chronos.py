"""Tiny Chronos models with random weights, saved in the same form as the published ones."""

from pathlib import Path

import torch

SIZES = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "pad_token_id": 0,
    "initializer_factor": 0.3,
}
DECODER = {"num_decoder_layers": 1, "eos_token_id": 1, "decoder_start_token_id": 0, "dropout_rate": 0.0}
PATCHES = {"context_length": 64, "input_patch_size": 8, "input_patch_stride": 8, "use_reg_token": True}
QUANTILES = {"quantiles": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]}


def bolt():
    """Chronos-Bolt, 16 steps at a time."""
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    chronos = {"chronos_pipeline_class": "ChronosBoltPipeline"}
    chronos["chronos_config"] = PATCHES | QUANTILES | {"prediction_length": 16}
    return ChronosBoltModelForForecasting(T5Config(vocab_size=2, reg_token_id=1, **SIZES, **DECODER, **chronos))


def chronos_2():
    """Chronos-2, four patches of 8 steps at a time."""
    from chronos import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    chronos = {"chronos_pipeline_class": "Chronos2Pipeline"}
    more = {"output_patch_size": 8, "max_output_patches": 4, "use_arcsinh": True, "time_encoding_scale": 64}
    chronos["chronos_config"] = PATCHES | QUANTILES | more
    return Chronos2Model(Chronos2CoreConfig(vocab_size=2, reg_token_id=1, **SIZES, **chronos))


def t5():
    """The first Chronos, 16 steps at a time, 20 samples."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokens = {"n_tokens": 64, "n_special_tokens": 2, "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True}
    tokens |= {"tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0}}
    drawn = {"num_samples": 20, "temperature": 1.0, "top_k": 50, "top_p": 1.0}
    shape = {"model_type": "seq2seq", "context_length": 64, "prediction_length": 16}
    return T5ForConditionalGeneration(
        T5Config(vocab_size=64, **SIZES, **DECODER, chronos_config=tokens | drawn | shape)
    )


MODELS = {"bolt": bolt, "chronos-2": chronos_2, "t5": t5}


def saved(name: str, folder: Path) -> Path:
    """The model `name`, with weights drawn from one seed, in its own folder below `folder`."""
    torch.manual_seed(0)
    MODELS[name]().save_pretrained(folder / name)
    return folder / name
