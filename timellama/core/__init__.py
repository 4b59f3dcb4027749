"""Files, locks, digests and provenance: what every other room builds on."""
