"""vaelib: a measured reproduction of a report on faces from variational autoencoders."""
