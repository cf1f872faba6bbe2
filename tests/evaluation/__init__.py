"""Tests of rs_superres.evaluation."""
