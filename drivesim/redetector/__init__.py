"""Re-detector: what a reader of pictures makes of six cameras, so that obedience to a layout can be measured."""
