"""The prediction server: a champion that answers, models in its shadow, two that share the lots between them."""
