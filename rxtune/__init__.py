"""Distributed search for robust cross-lingual fine-tuning; see `rxtune.api` for the verbs."""
