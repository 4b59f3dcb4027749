"""The methods that Time-LlaMA is compared with, one file a method; each is an nn.Module from [B, T, N] to [B, H, N]."""
