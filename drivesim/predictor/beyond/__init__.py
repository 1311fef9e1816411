"""The map beyond what is mapped: learned segmentation of it, and roads that go on along what was learned."""
