"""The networks: encoders, the neural operator, priors and the denoising U-Net. No file access."""
