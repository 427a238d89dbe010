"""Judging: what carriers did at a door, held against what was true then and what their handsets knew.

It only says for each event which feature judges it. Nothing that happened is undone or refused here.
"""
