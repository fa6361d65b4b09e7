"""Benchmarks: requests per second and latencies of different servers of the same learner."""
