"""Tests of cloud mode."""
