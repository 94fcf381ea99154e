"""CIFAR-10 on an accelerator that holds JAX alone: packed here, run there, installed here."""
