"""Turnwise: the right speaker turns, times, roles and names for a messy transcript."""
