"""Voxledger: the flight recorder of synthetic speech."""
