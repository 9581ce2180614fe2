"""The record of a run: its shape (version 2), its transitions, its digest and its JSON Schema."""
