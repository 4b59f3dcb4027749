"""The forecasters, one module or folder a method."""
