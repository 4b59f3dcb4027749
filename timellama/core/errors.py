"""The one exception for input that a person can put right."""


class InputError(ValueError):
    """Raised where a value is used; the message names the value, the rule it breaks and the remedy."""
