"""Networks: parameters and forward."""
