"""One run: build, train, evaluate, write."""
