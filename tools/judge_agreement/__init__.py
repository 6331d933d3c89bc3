"""Measures the judge against others."""
