"""The networks: encoders, the operator, the priors, the U-Net. No file is opened here."""
