"""The embedded world: an endless seeded town, its ray-cast cameras and its nuScenes-format writer."""
