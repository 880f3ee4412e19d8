"""Policies that learn to choose: they see the sizes of the decisions, tokens and rewards, and know no architecture."""

from controllers.contract import Controller, Proposal
from controllers.registry import create, names

__all__ = ["Controller", "Proposal", "create", "names"]
