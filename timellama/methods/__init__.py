"""The forecasters, one module or folder per method."""
