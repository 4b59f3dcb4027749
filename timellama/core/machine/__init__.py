"""What a job finds on its machine, and how it uses it: GPUs, bfloat16, and the memory that it may use."""
