"""What happens next: learned latent dynamics over layouts, for closed loops without end and for imagination."""
