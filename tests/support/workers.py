"""Every worker function of the product, by its deployed name. Importing this declares their models."""
