"""Owns the screens: the only package besides app.py that imports gradio."""
