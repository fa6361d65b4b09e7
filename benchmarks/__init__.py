"""Requests per second and latencies of three ways to serve the same learner, side by side."""
