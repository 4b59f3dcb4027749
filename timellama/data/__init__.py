"""From a published or user-supplied file to windows."""
