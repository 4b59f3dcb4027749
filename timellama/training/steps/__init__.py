"""The steps of a training: losses, learning rates, the step itself and its compiled forms, validation, checkpoints."""
