"""The front: Java sources, the jar compiled from them, and the build script."""
